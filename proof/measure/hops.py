"""What each hop adds to a bare Qdrant query, all measured in turn in one run."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import requests

from access.direct import direct_session
from proof.report.report import Figures, Measure, Section
from proof.targets.proof_stack import ProofStack
from proof.traffic.calls import percentile
from proof.traffic.clients import client_address
from proof.traffic.vectors import signs
from qdrant_admin.api import path

BARE, BALANCED, REMEMBERED, FRESH = "Qdrant alone", "+ HAProxy", "+ RAG and Kong", "+ embedding a new text"
LIMIT, SHOWN = 5, ["text", "source", "title"]
ROUNDS = 300
WARM_ROUNDS = 20


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One call: all of it, and of it Kong's upstream latency; milliseconds."""

    total: float
    behind_kong: float = 0

    @property
    def kong(self) -> float:
        return self.total - self.behind_kong


def run(stack: ProofStack, rounds: int = ROUNDS) -> Section:
    """Call each way once a round, so that other load on this machine affects all of them alike."""
    ways = ways_of(stack)
    times: dict[str, list[Timed]] = {way: [] for way in ways}
    for number in range(-WARM_ROUNDS, rounds):
        for way, ask in ways.items():
            timed = ask(number)
            if number >= 0:
                times[way].append(timed)
    return Section(name="hops", title="What each hop adds", verdicts=[], figures=[by_way(times), by_hop(times)])


def ways_of(stack: ProofStack) -> Mapping[str, Callable[[int], Timed]]:
    """The ways to Qdrant, over kept connections; a failed call ends the run, for it has no latency."""
    found, size = stack.outputs, stack.settings.collection.vector_size
    query = path("collections", found["collection"], "points", "query")
    gateway = f"{found['gatewayUrl']}/api/v1/rag/search"
    session, key = direct_session(), {"api-key": found["qdrantApiKey"]}
    token = stack.bearer()

    def qdrant(url: str) -> Callable[[int], Timed]:
        return lambda n: _timed(
            session, url + query, {"query": signs(n, size), "limit": LIMIT, "with_payload": SHOWN}, key
        )

    def search(words: Callable[[int], str]) -> Callable[[int], Timed]:
        return lambda n: _timed(
            session,
            gateway,
            {"query": words(n), "limit": LIMIT},
            {**token, "X-Forwarded-For": client_address(n % 1000)},
        )

    return {
        BARE: qdrant(found["qdrantNodeUrls"][0]),
        BALANCED: qdrant(found["qdrantUrl"]),
        REMEMBERED: search(lambda _: "how do I parse a JSON string?"),
        FRESH: search(lambda n: f"how do I parse a JSON string, for the {time.time_ns()}th time?"),
    }


def _timed(session: requests.Session, url: str, body: object, headers: Mapping[str, str]) -> Timed:
    began = time.perf_counter()
    answer = session.post(url, json=body, headers=headers, timeout=10)
    milliseconds = (time.perf_counter() - began) * 1000
    answer.raise_for_status()
    return Timed(total=milliseconds, behind_kong=float(answer.headers.get("X-Kong-Upstream-Latency", 0)))


def by_way(times: Mapping[str, Sequence[Timed]]) -> Figures:
    """All of each way, against the bare query."""
    rows = [_row(way, [timed.total for timed in timed], [bare.total for bare in times[BARE]])
            for way, timed in times.items()]  # fmt: skip
    return Figures(title="The whole call", columns=["p50", "p95", "p50 / bare", "p95 / bare"], rows=rows)


def by_hop(times: Mapping[str, Sequence[Timed]]) -> Figures:
    """What each hop adds at the median, and its share of the whole; the largest first."""
    bare, balanced = (median(timed.total for timed in times[way]) for way in (BARE, BALANCED))
    behind, kong = (median(getattr(timed, part) for timed in times[REMEMBERED]) for part in ("behind_kong", "kong"))
    fresh = median(timed.total for timed in times[FRESH]) - median(timed.total for timed in times[REMEMBERED])
    added = {
        "Qdrant": bare,
        "HAProxy": balanced - bare,
        "RAG service": behind - balanced,
        "Kong": kong,
        "embedding": fresh,
    }
    whole = sum(added.values())
    largest_first = sorted(added.items(), key=lambda hop: -hop[1])
    rows = [Measure(name=hop, cells=[f"{ms:.1f} ms", f"{ms / whole:.0%}"]) for hop, ms in largest_first]
    note = (
        "Kong reports upstream latency in whole milliseconds; differences of medians, so a small hop may be below zero."
    )
    return Figures(title="By hop, of a search for a new text", columns=["adds", "share"], rows=rows, note=note)


def _row(way: str, milliseconds: Sequence[float], bare: Sequence[float]) -> Measure:
    cells = [f"{percentile(milliseconds, share):.1f} ms" for share in (0.5, 0.95)]
    ratios = [f"{percentile(milliseconds, share) / percentile(bare, share):.2f}" for share in (0.5, 0.95)]
    return Measure(name=way, cells=[*cells, *ratios])
