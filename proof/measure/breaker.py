"""The embedder stops, and the RAG service's breaker opens; it comes back, and the breaker closes."""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from access.direct import direct_session
from access.polling import SYSTEM_CLOCK, Clock, PollTimeout, poll, require
from proof.measure.embedder import StoppableEmbedder
from proof.report.judge import Verdict
from proof.report.report import Section
from proof.targets.docker_target import DockerTarget
from proof.targets.proof_stack import ProofStack
from proof.traffic.calls import percentile
from proof.traffic.clients import client_address
from slo.promises import BreakerPromise

OPEN_WORDS = "it failed repeatedly"  # in the answer of an open breaker
MOST_FAILURES, OPEN_CALLS, CALLS_AFTER = 30, 50, 10
CLOSING_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One answer: its status and body, its Retry-After, and how long it took."""

    status: int
    text: str
    retry_after: str
    seconds: float

    @property
    def of_open_breaker(self) -> bool:
        return self.status == 503 and OPEN_WORDS in self.text


@dataclass(frozen=True, kw_only=True)
class Observed:
    """The answers while the embedder was stopped, while the breaker was open, and when the embedder ran again."""

    failing: Sequence[Answered]  # up to the first answer of an open breaker
    open: Sequence[Answered]
    probes: int  # calls that reached the embedder before the first success
    closing_seconds: float | None  # from the embedder's restart to the first success; None without one
    after: Sequence[Answered]


class Searcher:
    """Searches for a new text each time, which no cache of the service answers."""

    def __init__(self, stack: ProofStack) -> None:
        self._url = f"{stack.outputs['gatewayUrl']}/api/v1/rag/search"
        self._session = direct_session()
        self._session.headers.update(stack.bearer())
        self._numbers = itertools.count(time.time_ns())

    def __call__(self) -> Answered:
        number = next(self._numbers)
        began = time.monotonic()
        answer = self._session.post(
            self._url,
            json={"query": f"never asked before: {number}", "limit": 1},
            headers={"X-Forwarded-For": client_address(number % 5000)},
            timeout=15,
        )
        return Answered(
            status=answer.status_code,
            text=answer.text,
            retry_after=answer.headers.get("Retry-After", ""),
            seconds=time.monotonic() - began,
        )


def run(target: DockerTarget, promise: BreakerPromise) -> Section:
    """Measure it with an embedder that can be stopped; afterwards the stack has its own again."""
    stack = target.stack
    embedder = StoppableEmbedder(target.gateway_address, stack.settings.collection.vector_size)
    embedder.start()
    before = stack.files
    try:
        # One replica: each has a breaker of its own, and one is measured.
        stack.up(ragEmbedder="ollama", ragOllamaUrl=embedder.url, ragReplicas="1")
        observed = observe(Searcher(stack), embedder)
    finally:
        embedder.stop()
        stack.files = before
        stack.up()
    return Section(
        name="stop-embedder", title="The embedder stops, and comes back", verdicts=list(judge(observed, promise))
    )


def observe(search: Searcher, embedder: StoppableEmbedder) -> Observed:
    """Stop the embedder until its breaker is open, send more searches, and start it again."""
    first = _wait_for_success(search)
    if first is None:
        raise RuntimeError("expected a search to be answered while the embedder runs, found none that was")
    embedder.stop()
    failing: list[Answered] = []
    while len(failing) < MOST_FAILURES and not (failing and failing[-1].of_open_breaker):
        failing.append(search())
    still_open = [search() for _ in range(OPEN_CALLS)]
    asked = embedder.asked
    embedder.start()
    closing = _wait_for_success(search)
    probes = embedder.asked - asked
    after = [search() for _ in range(CALLS_AFTER)]
    return Observed(failing=failing, open=still_open, probes=probes, closing_seconds=closing, after=after)


def _wait_for_success(search: Searcher, clock: Clock = SYSTEM_CLOCK) -> float | None:
    """Seconds until a search was answered; None when none was."""
    began = clock.now()
    try:
        poll(lambda: require(search().status == 200, "an error"), CLOSING_SECONDS, expected="an answer",
             interval_seconds=0.1, clock=clock)  # fmt: skip
    except PollTimeout:
        return None
    return clock.now() - began


def judge(observed: Observed, promise: BreakerPromise) -> Iterator[Verdict]:
    """A verdict for each promise; pure."""
    failures = sum(not answer.of_open_breaker for answer in observed.failing)
    opened = any(answer.of_open_breaker for answer in observed.failing)
    yield Verdict(
        promise="failures until the breaker opens",
        expected=f"≤ {promise.failures_to_open}",
        found=str(failures) if opened else f"not open after {failures}",
        kept=opened and failures <= promise.failures_to_open,
    )
    right = sum(answer.of_open_breaker and answer.retry_after.isdigit() for answer in observed.open)
    yield Verdict(
        promise="while open: 503 with Retry-After",
        expected="always",
        found=f"{right} of {len(observed.open)}",
        kept=bool(observed.open) and right == len(observed.open),
    )
    yield _fast([answer.seconds * 1000 for answer in observed.open], promise)
    closed = observed.closing_seconds is not None
    yield Verdict(
        promise="probes until it closes",
        expected=f"≤ {promise.probes_to_close}",
        found=f"{observed.probes}, {observed.closing_seconds:.1f} s after the embedder's restart"
        if closed
        else "never closed",
        kept=closed and 0 < observed.probes <= promise.probes_to_close,
    )
    well = sum(answer.status == 200 for answer in observed.after)
    yield Verdict(
        promise="calls after it closed: answered",
        expected="all",
        found=f"{well} of {len(observed.after)}",
        kept=bool(observed.after) and well == len(observed.after),
    )


def _fast(milliseconds: Sequence[float], promise: BreakerPromise) -> Verdict:
    if not milliseconds:
        return Verdict(promise="while open: answered in", expected="known", found="no answers", kept=False)
    middle, late = percentile(milliseconds, 0.5), percentile(milliseconds, 0.95)
    return Verdict(
        promise="while open: answered in, through the gateway (95 of 100)",
        expected=f"< {promise.open_answer_ms:g} ms",
        found=f"{late:.1f} ms; the middle one {middle:.1f} ms",
        kept=late < promise.open_answer_ms,
    )
