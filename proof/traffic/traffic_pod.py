"""The clients in a pod of the cluster: there is no other way to its balancer, and none that outlives a pod."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from access.kubernetes import kube
from proof.targets.namespace import Namespace
from proof.timeouts import until
from proof.traffic.calls import Call
from proof.traffic.endpoints import Endpoints, Pace
from proof.traffic.ledger import Ledger

NAME = "traffic"
TOLD = "told.json"
SHIPPED = ("__init__", "calls", "clients", "endpoints", "generator", "in_cluster", "ledger", "vectors")
COMMAND = ("python", "-m", "proof.traffic.in_cluster", f"/files/{TOLD}")
ENVIRONMENT = {"PYTHONPATH": "/files", "PYTHONDONTWRITEBYTECODE": "1"}
FILES: Mapping[str, Any] = {
    "secret": {
        "secretName": NAME,
        "items": [{"key": TOLD, "path": TOLD}, *({"key": f"{n}.py", "path": f"proof/traffic/{n}.py"} for n in SHIPPED)],
    }
}
START_SECONDS = 120
GRACE_SECONDS = 40  # a call under way is waited for, 10 s at most
LINE_SECONDS = 15  # somebody calls every second: a log that says nothing for so long is asked for again
DEAF_SECONDS = 60  # and given up
PAUSE_SECONDS = 0.5
SKEW_SECONDS = 0.5


class Heard:
    """What was heard so far: calls on this machine's clock, and the ledger that was given."""

    def __init__(self, ledger: Ledger) -> None:
        self.calls: list[Call] = []
        self.lines, self.begun, self.ended = 0, False, False
        self._ledger, self._later = ledger, 0.0

    def hear(self, line: str) -> None:
        """Take one line of `in_cluster`; ValueError when it is none, or the last one and others are missing."""
        try:
            said = json.loads(line)
        except ValueError as error:
            raise ValueError(f"expected a line of the clients, found {line[:200]!r}") from error
        self.lines += 1
        if "call" in said:
            call = Call(**said["call"])
            moved = {name: getattr(call, name) + self._later for name in ("due", "began", "ended")}
            self.calls.append(replace(call, **moved))
        elif "acknowledged" in said:
            self._ledger.acknowledge({int(point): mark for point, mark in said["acknowledged"].items()})
        elif "monotonic" in said:
            self._begin(said["monotonic"], said["time"])
        else:
            self._end(said["lines"])

    def _begin(self, monotonic: float, clock: float) -> None:
        """Two machines agree on the time of day, and on nothing else."""
        if (ahead := clock - time.time()) > SKEW_SECONDS:
            raise ValueError(f"expected the pod's clock to be this machine's, found it {ahead:.1f} s ahead; set one")
        self._later = (clock - monotonic) - (time.time() - time.monotonic())
        self.begun = True

    def _end(self, lines: int) -> None:
        if lines != self.lines:
            raise ValueError(f"expected {lines} lines of the clients, found {self.lines}: some of the log was lost")
        self.ended = True


class TrafficPod:
    """Runs while its block does; `calls` is complete when the block ends. As `Traffic`, but in a pod."""

    def __init__(
        self, space: Namespace, pod: Mapping[str, Any], endpoints: Endpoints, pace: Pace, ledger: Ledger
    ) -> None:
        self._space, self._pod = space, pod
        self._told = {"endpoints": asdict(endpoints), "pace": asdict(pace)}
        self._heard = Heard(ledger)
        self._wrong: Exception | None = None
        self._over = threading.Event()
        self._listener = threading.Thread(target=self._listen, name=NAME, daemon=True)

    @property
    def calls(self) -> list[Call]:
        return self._heard.calls

    def __enter__(self) -> Self:
        self._remove()  # what an interrupted run left
        try:
            self._start()
        except BaseException:  # who is not let in is not asked to leave
            self._over.set()
            self._remove()
            raise
        return self

    def wait_for(self, calls: int, stream: str, seconds: float = 60) -> float:
        """Wait until the stream has made so many calls from now on; returns the time. TimeoutError when it does not."""
        wanted = self._made(stream) + calls
        until(f"{calls} calls of {stream}", lambda: self._going_on() and self._made(stream) >= wanted, seconds)
        return time.monotonic()

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            self._space.delete(NAME, notice_seconds=GRACE_SECONDS)
            self._listener.join(GRACE_SECONDS)
        except ApiException as error:
            if not kube.is_gone(error):
                raise
        finally:
            self._over.set()
            self._remove()
        if _type is None and not self._heard.ended:
            found = self._wrong or "that they were cut off"
            raise RuntimeError(f"expected the clients to end when they were asked to, found {found}") from self._wrong

    def _made(self, stream: str) -> int:
        return sum(call.stream == stream for call in list(self.calls))

    def _going_on(self) -> bool:
        if self._wrong:
            raise RuntimeError(f"expected the clients in pod {NAME} to go on, found: {self._wrong}") from self._wrong
        return True

    def _start(self) -> None:
        package = Path(__file__).parent
        code = {f"{name}.py": (package / f"{name}.py").read_text(encoding="utf-8") for name in SHIPPED}
        secret = {"metadata": {"name": NAME}, "stringData": {**code, TOLD: json.dumps(self._told)}}
        self._space.core.create_namespaced_secret(self._space.name, secret)
        for callee, port in (("haproxy", 6333), ("kong", 8000)):
            self._space.allow(NAME, callee, port)
        self._space.core.create_namespaced_pod(self._space.name, self._pod)
        self._listener.start()
        try:
            until("the clients to begin", lambda: self._going_on() and self._heard.begun, START_SECONDS)
        except TimeoutError as error:
            found = self._space.core.read_namespaced_pod(NAME, self._space.name)
            raise TimeoutError(f"{error}; found pod {NAME} {found.status.phase} on {found.spec.node_name}") from error

    def _listen(self) -> None:
        """Hear every line once, until the last one; a log that breaks off is asked for again."""
        try:
            last = time.monotonic()
            while not self._heard.ended and not self._over.is_set():
                for line in self._lines():
                    self._heard.hear(line)
                    last = time.monotonic()
                if self._heard.begun and time.monotonic() - last > DEAF_SECONDS:
                    raise TimeoutError(f"no line of their log for {DEAF_SECONDS} s")
                self._over.wait(PAUSE_SECONDS)
        except Exception as error:  # told by whoever waits
            self._wrong = error

    def _lines(self) -> Iterator[str]:
        """The lines that were not heard yet, as they come; none when there is no log to be had now."""
        skip, rest = self._heard.lines, b""
        try:
            log: Any = self._space.core.read_namespaced_pod_log(
                NAME, self._space.name, follow=True, _preload_content=False, _request_timeout=(5, LINE_SECONDS)
            )
            for chunk in log.stream(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode() for line in lines[skip:])
                skip = max(0, skip - len(lines))
        except HTTPError:
            return
        except ApiException as error:
            gone = kube.is_gone(error) and self._heard.begun
            if gone or error.status in (401, 403):  # else: not yet, or not for a moment
                raise

    def _remove(self) -> None:
        try:
            self._space.core.delete_namespaced_secret(NAME, self._space.name)
        except ApiException as error:
            if not kube.is_gone(error):
                raise
        finally:
            self._space.remove(NAME)
