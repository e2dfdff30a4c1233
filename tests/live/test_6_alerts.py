"""Each fault fires the alert that is meant for it, and no page besides; when it is over, all is quiet again.

What is shortened: scrapes and rules run every 5 s and not every 15, so that every window and waiting time is a third (a
minute is 20 s); what is waited for is the same number of scrapes. Not judged: the budget for latency, and tickets that
the fault is not meant to open (HAProxyServerFlaps, RagLatencyHigh, QdrantElectionsRepeat): they say truly what other
work this machine had, and not what the fault did.

Not waited for: the end of AvailabilityBudgetBurnsFast. Its windows are 5 and 30 minutes of real time, so what a fault
used up of the budget is still told when the next fault comes; that it ends is shown by the rules' own tests.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from access.polling import poll, require
from components.monitoring.dashboards import dashboard_files
from components.monitoring.promises import Promises
from components.monitoring.rules import rule_groups
from components.monitoring.rules.pace import UNITS
from components.monitoring.rules.rule import Alert
from proof.targets.proof_stack import without_rate_limits
from tests.live.alerts import Prometheus
from tests.live.callers import WITH_LIMITS, Callers
from tests.live.conftest import LiveStack
from tests.live.listener import Bodies, listening

pytestmark = pytest.mark.live

SCRAPE_SECONDS = 5
PROMISES = Promises(scrape_seconds=SCRAPE_SECONDS)
ALERTS = {rule.name: rule for rules in rule_groups(PROMISES).values() for rule in rules if isinstance(rule, Alert)}
NOT_JUDGED = {"LatencyBudgetBurnsFast"}
LASTING = {"AvailabilityBudgetBurnsFast"}
SEEN_LATE_SECONDS = 40  # a probe that must fail, a scrape and an evaluation, on a machine with other work
RECOVERY_SECONDS = 180


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is done to which container; the pages it must fire, and those it may: what cannot work without it."""

    name: str
    container: str
    do: Callable[[Any], None]
    undo: Callable[[Any], None]
    fires: frozenset[str]
    may: frozenset[str] = field(default_factory=frozenset)


def kill(container: Any) -> None:
    container.kill()


def start(container: Any) -> None:
    container.start()


def freeze(container: Any) -> None:
    container.pause()


def thaw(container: Any) -> None:
    container.unpause()


ERRORS = frozenset({"AvailabilityBudgetBurnsFast"})
FAULTS = [
    Fault(name="a Qdrant node dies", container="qdrant-1", do=kill, undo=start, fires=frozenset({"QdrantNodeDown"})),
    Fault(
        name="a Qdrant node freezes", container="qdrant-2", do=freeze, undo=thaw, fires=frozenset({"QdrantNodeDown"})
    ),
    Fault(
        name="HAProxy dies",
        container="haproxy-0",
        do=kill,
        undo=start,
        fires=frozenset({"HAProxyDown", "CircuitBreakerOpen"}),
        may=ERRORS,
    ),
    Fault(
        name="the API role dies",
        container="rag-service-0",
        do=kill,
        undo=start,
        fires=frozenset({"RagServiceDown", "KongNoTarget", "KongTargetUnhealthy"}),
        may=ERRORS,
    ),
    Fault(name="Kong dies", container="kong-0", do=kill, undo=start, fires=frozenset({"KongDown"})),
    Fault(
        name="PostgreSQL dies",
        container="postgres-0",
        do=kill,
        undo=start,
        fires=frozenset({"PostgresDown", "KongDatastoreUnreachable"}),
    ),
]


@pytest.fixture(scope="module")
def told(stack: LiveStack) -> Iterator[Bodies]:
    """The stack at its quick pace, and what its Alertmanager tells each receiver, by path."""
    with listening(stack) as (url, bodies):
        receivers: dict[str, Any] = {
            "observabilityAlertWebhook": f"{url}/webhook",
            "observabilityAlertSlackUrl": f"{url}/slack",
            "observabilityAlertWatchdogUrl": f"{url}/switch",
        }
        quick: dict[str, Any] = {
            "observabilityScrapeSeconds": str(SCRAPE_SECONDS),
            **without_rate_limits(stack.files.settings()),
        }
        stack.up(**quick, **receivers)
        yield bodies
        none: dict[str, Any] = dict.fromkeys(receivers, "")
        stack.up(observabilityScrapeSeconds="15", **WITH_LIMITS, **none)


@pytest.fixture(scope="module")
def prometheus(stack: LiveStack, told: Bodies) -> Iterator[Prometheus]:
    """The stack's Prometheus when all is quiet, with callers that keep the stack at work."""
    monitoring_targets = Prometheus(stack.outputs["prometheusUrl"])
    with Callers(stack.outputs["gatewayUrl"], stack.token(3600)) as callers:
        callers.answered_at_least(20)
        monitoring_targets.wait_until_quiet(RECOVERY_SECONDS, but=NOT_JUDGED)
        yield monitoring_targets


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_fires_its_alerts_and_no_other_page_and_all_of_them_end(
    stack: LiveStack, prometheus: Prometheus, fault: Fault
) -> None:
    container, began = stack.container(fault.container), time.monotonic()
    told_before = prometheus.firing("page") & LASTING
    waits = [seconds(ALERTS[name].wait) for name in fault.fires]
    fault.do(container)
    try:
        prometheus.wait_until(fault.fires, max(waits) + SEEN_LATE_SECONDS)
    finally:
        fault.undo(container)
    prometheus.wait_until_quiet(RECOVERY_SECONDS, of=fault.fires - LASTING, but=NOT_JUDGED | LASTING)
    pages = prometheus.fired(time.monotonic() - began, "page")
    assert pages - NOT_JUDGED <= fault.fires | fault.may | told_before


def seconds(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def test_every_receiver_is_told_of_a_page(stack: LiveStack, told: Bodies, prometheus: Prometheus) -> None:
    """The page has to last for the ten seconds in which Alertmanager gathers what belongs together."""
    kong = stack.container("kong-0")
    kong.pause()
    try:
        for path, words in (("/webhook", "KongDown"), ("/slack", ALERTS["KongDown"].summary)):

            def received(path: str = path, words: str = words) -> None:
                require(words in b"".join(told[path]).decode(), f"{len(told[path])} others")

            poll(received, RECOVERY_SECONDS, expected=f"KongDown at {path}")
    finally:
        kong.unpause()
    poll(lambda: require(told["/switch"], "nothing"), 90, expected="the watchdog at the dead man's switch")
    assert all(b"Watchdog" in body for body in told["/switch"])
    prometheus.wait_until_quiet(RECOVERY_SECONDS, but=NOT_JUDGED | LASTING)


def test_every_disk_is_measured(stack: LiveStack, prometheus: Prometheus) -> None:
    measured = {row["mountpoint"] for row in prometheus.ask("disk:free:ratio > 0 < 1")}
    nodes = {f"/disks/qdrant-{node}" for node in range(len(stack.outputs["qdrantNodeUrls"]))}
    assert measured >= nodes | {"/disks/postgres-0", "/disks/prometheus-0"}


def test_the_watchdog_is_there(prometheus: Prometheus) -> None:
    assert prometheus.firing("none") == {"Watchdog"}


def test_a_panel_shows_something_or_says_why_not(prometheus: Prometheus) -> None:
    empty = []
    for name, content in dashboard_files(PROMISES).items():
        for panel in json.loads(content)["panels"]:
            may_be = panel.get("fieldConfig", {}).get("defaults", {}).get("noValue")
            for target in panel.get("targets", []):
                expr = target["expr"].replace("$__rate_interval", "30s").replace("$node", ".*").replace("$route", ".*")
                if not prometheus.ask(expr) and not may_be:
                    empty.append(f"{name}: {panel['title']}: {expr}")
    assert empty == []


def test_every_target_is_scraped_and_every_rule_evaluated(prometheus: Prometheus) -> None:
    assert prometheus.ask("up == 0") == []
    rules = requests.get(f"{prometheus.url}/api/v1/rules", timeout=10).json()["data"]["groups"]
    assert {rule["health"] for group in rules for rule in group["rules"]} == {"ok"}
