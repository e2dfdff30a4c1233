"""The load test: k6 asks, the promises judge, the page shows."""

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from ops.stack import OperatorError
from proof.measure.k6 import K6, THRESHOLDS_MISSED
from proof.report.judge import Observed, Verdict
from proof.report.report import Figures, Measure, Section
from proof.targets.proof_stack import ProofStack
from proof.traffic.calls import Call
from proof.traffic.clients import ASK, READ, SEARCH, WRITE
from slo.promises import Promises

Profile = Literal["seed", "slo", "ratelimit", "soak"]
TITLES: Mapping[Profile, str] = {
    "seed": "Fifty users who wait for each answer (the proposal's profile)",
    "slo": "An open rate of calls from many clients",
    "ratelimit": "One client that calls too often",
    "soak": "An open rate of calls, for half an hour",
}
STREAMS = (SEARCH, ASK, WRITE, READ)
SHOWN = {"med": "p50", "p(95)": "p95", "p(99)": "p99", "max": "worst"}
OUT = "summary.json"


def run(stack: ProofStack, profile: Profile, k6: K6, folder: Path, *, factor: float = 1) -> Section:
    """Run a profile, shortened by a factor; OperatorError when k6 itself fails, and not only a threshold."""
    code = k6.run("load.js", folder, environment(stack, profile, factor))
    if code not in (0, THRESHOLDS_MISSED):
        raise OperatorError(f"expected k6 to run to its end, found exit code {code}; its output is above")
    summary = json.loads((folder / OUT).read_text())
    verdicts = list(verdicts_of(summary))
    agreed = (code == 0) == all(verdict.kept for verdict in verdicts)
    if not agreed:
        raise OperatorError(f"expected k6's exit code {code} and its summary to agree, found that they do not")
    title = TITLES[profile] + ("" if factor == 1 else f"; shortened to {factor:.0%} of its time")
    with gzip.open(folder / "calls.csv.gz", "rt") as rows:
        calls = list(calls_of(rows))
    return Section(observed=_observed(profile, title, calls), verdicts=verdicts, figures=[figures_of(summary)])


def environment(stack: ProofStack, profile: Profile, factor: float) -> dict[str, str]:
    """The stack's addresses and credentials, and the promises."""
    found, settings = stack.outputs, stack.settings
    return {
        "PROFILE": profile,
        "FACTOR": str(factor),
        "PROMISES": Promises.read().model_dump_json(),
        "GATEWAY_URL": found["gatewayUrl"],
        "LIMIT_PER_MINUTE": str(settings.gateway.rate_limit_per_minute),
        "JWT_KEY": found["gatewayJwtKey"],
        "JWT_SECRET": found["gatewayJwtSecret"],
        "QDRANT_URL": found["qdrantUrl"],
        "QDRANT_API_KEY": found["qdrantApiKey"],
        "COLLECTION": found["collection"],
        "DIMENSIONS": str(settings.collection.vector_size),
        "PROBES": json.dumps(stack.probes),
        "SUMMARY": OUT,
    }


def verdicts_of(summary: Mapping[str, Any]) -> Iterator[Verdict]:
    """A verdict for each threshold of k6's summary, and for each check."""
    for name, metric in sorted(summary["metrics"].items()):
        for expression, outcome in metric.get("thresholds", {}).items():
            found = _found(metric["values"], expression)
            yield Verdict(promise=_words(name), expected=expression, found=found, kept=outcome["ok"])
    for check in summary["root_group"]["checks"]:
        total = check["passes"] + check["fails"]
        found = f"{check['passes']} of {total}"
        yield Verdict(promise=check["name"], expected="always", found=found, kept=total > 0 and not check["fails"])


def _found(values: Mapping[str, float], expression: str) -> str:
    key = expression.partition("<")[0].partition("=")[0].strip()
    if key not in values:
        return "none"
    return f"{values[key]:.0f} ms" if key.startswith("p(") else f"{values[key]:g}"


def _words(metric: str) -> str:
    """`http_req_failed{name:search}` for a reader."""
    kind, _, tag = metric.partition("{name:")
    words = {"http_req_duration": "latency", "http_req_failed": "failed", "dropped_iterations": "calls dropped"}
    return f"{tag.rstrip('}')}: {words.get(kind, kind)}" if tag else words.get(kind, kind)


def figures_of(summary: Mapping[str, Any]) -> Figures:
    """What each kind of call took."""
    rows = []
    for name, metric in sorted(summary["metrics"].items()):
        if name.startswith("http_req_duration{name:") and metric["values"].get("count"):
            cells = [f"{metric['values']['count']:,.0f}", *(f"{metric['values'][key]:.1f} ms" for key in SHOWN)]
            rows.append(Measure(name=name.partition("name:")[2].rstrip("}"), cells=cells))
    return Figures(title="Latency", columns=["calls", *SHOWN.values()], rows=rows)


def calls_of(rows: Iterator[str]) -> Iterator[Call]:
    """The calls in k6's CSV: a row is written when a call ends, with its duration."""
    for row in csv.DictReader(rows):
        if row["metric_name"] == "http_req_duration" and row["name"] in STREAMS:
            ended, seconds = int(row["timestamp"]) / 1000, float(row["metric_value"]) / 1000
            answered = row["expected_response"] == "true"
            detail = "" if answered else f"{row['status']} {row['error']}".strip()
            begun = ended - seconds
            yield Call(stream=row["name"], due=begun, began=begun, ended=ended, answered=answered, detail=detail)


def _observed(profile: Profile, title: str, calls: list[Call]) -> Observed | None:
    if not calls:
        return None
    begin, end = min(call.due for call in calls), max(call.ended for call in calls) + 0.001
    return Observed(
        name=f"load-{profile}",
        title=title,
        calls=calls,
        baseline_start=begin,
        fault=end,  # there is none
        fault_end=end,
        recovered=end,
        ended=end,
        acknowledged=0,
    )
