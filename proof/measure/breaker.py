"""The embedder stops, and the RAG service's breaker opens; it comes back, and the breaker closes."""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import requests

from proof.measure.embedder import StoppableEmbedder
from proof.report.judge import Verdict
from proof.report.report import Section
from proof.targets.docker_stack import TOKEN_SECONDS, OwnStack
from proof.traffic.clients import client_address
from slo.promises import BreakerPromise

OPEN_WORDS = "it failed repeatedly"  # in the answer of an open breaker
MOST_FAILURES, OPEN_CALLS, CALLS_AFTER = 30, 50, 10
CLOSING_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One answer: its status, what it said, when to come again, and how long it took."""

    status: int
    text: str
    retry_after: str
    seconds: float

    @property
    def of_open_breaker(self) -> bool:
        return self.status == 503 and OPEN_WORDS in self.text


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was answered while the embedder was away, while the breaker was open, and when it came back."""

    failing: Sequence[Answered]  # up to the first answer of an open breaker
    open: Sequence[Answered]
    probes: int  # calls that reached the embedder before the first success
    closing_seconds: float | None  # from the embedder's return to the first success; None when it never came
    after: Sequence[Answered]


class Searcher:
    """Searches for words that nobody asked for before: no memory of the service answers them."""

    def __init__(self, stack: OwnStack) -> None:
        self._url = f"{stack.outputs['gatewayUrl']}/api/v1/rag/search"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {stack.token(TOKEN_SECONDS)}"
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


def run(stack: OwnStack, promise: BreakerPromise) -> Section:
    """Try it on a stack whose embedder is one of our own, which can be stopped; afterwards it is as it was."""
    [address] = stack.engine.networks.get(stack.prefix).attrs["IPAM"]["Config"]
    embedder = StoppableEmbedder(address["Gateway"], stack.files.settings().collection.vector_size)
    embedder.start()
    before = stack.files
    try:
        # One replica: each has a breaker of its own, and it is one that is watched.
        stack.up(ragEmbedder="ollama", ragOllamaUrl=embedder.url, ragReplicas="1")
        seen = watch(Searcher(stack), embedder)
    finally:
        embedder.stop()
        stack.files = before
        stack.up()
    return Section(
        name="stop-embedder", title="The embedder stops, and comes back", verdicts=list(judge(seen, promise))
    )


def watch(search: Searcher, embedder: StoppableEmbedder) -> Seen:
    """Stop the embedder until its breaker is open, look at it, and let it come back."""
    first = _wait_for_success(search)
    if first is None:
        raise RuntimeError("expected a search to be answered with the embedder there, found none that was")
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
    return Seen(failing=failing, open=still_open, probes=probes, closing_seconds=closing, after=after)


def _wait_for_success(search: Searcher) -> float | None:
    """How long it took until a search was answered; None when none was."""
    began = time.monotonic()
    while time.monotonic() - began < CLOSING_SECONDS:
        if search().status == 200:
            return time.monotonic() - began
        time.sleep(0.1)
    return None


def judge(seen: Seen, promise: BreakerPromise) -> Iterator[Verdict]:
    """A verdict for each promise; pure."""
    failures = sum(not answer.of_open_breaker for answer in seen.failing)
    opened = any(answer.of_open_breaker for answer in seen.failing)
    yield Verdict(
        promise="failures until the breaker opens",
        expected=f"≤ {promise.failures_to_open}",
        found=str(failures) if opened else f"not open after {failures}",
        kept=opened and failures <= promise.failures_to_open,
    )
    right = sum(answer.of_open_breaker and answer.retry_after.isdigit() for answer in seen.open)
    yield Verdict(
        promise="while open: 503 that says when to come again",
        expected="always",
        found=f"{right} of {len(seen.open)}",
        kept=bool(seen.open) and right == len(seen.open),
    )
    yield _fast(sorted(answer.seconds * 1000 for answer in seen.open), promise)
    came = seen.closing_seconds is not None
    yield Verdict(
        promise="probes until it closes",
        expected=f"≤ {promise.probes_to_close}",
        found=f"{seen.probes}, {seen.closing_seconds:.1f} s after the embedder's return" if came else "never closed",
        kept=came and 0 < seen.probes <= promise.probes_to_close,
    )
    well = sum(answer.status == 200 for answer in seen.after)
    yield Verdict(
        promise="calls after it closed: answered",
        expected="all",
        found=f"{well} of {len(seen.after)}",
        kept=bool(seen.after) and well == len(seen.after),
    )


def _fast(milliseconds: Sequence[float], promise: BreakerPromise) -> Verdict:
    if not milliseconds:
        return Verdict(promise="while open: answered in", expected="known", found="no answers", kept=False)
    middle, late = (milliseconds[int(len(milliseconds) * share)] for share in (0.5, 0.95))
    return Verdict(
        promise="while open: answered in, through the gateway (95 of 100)",
        expected=f"< {promise.open_answer_ms:g} ms",
        found=f"{late:.1f} ms; the middle one {middle:.1f} ms",
        kept=late < promise.open_answer_ms,
    )
