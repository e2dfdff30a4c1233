"""The clients in a pod: outside the cluster the balancer is reached only by a port-forward, which ends with its pod."""

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
from access.polling import SYSTEM_CLOCK, Clock, poll, require
from proof.targets.namespace import Namespace
from proof.traffic.calls import Call
from proof.traffic.endpoints import Endpoints, Pace
from proof.traffic.ledger import Ledger

NAME = "traffic"
CONFIG = "config.json"
SHIPPED = ("__init__", "calls", "clients", "endpoints", "generator", "in_cluster", "ledger", "vectors")
COMMAND = ("python", "-m", "proof.traffic.in_cluster", f"/files/{CONFIG}")
ENVIRONMENT = {"PYTHONPATH": "/files", "PYTHONDONTWRITEBYTECODE": "1"}
FILES: Mapping[str, Any] = {
    "secret": {
        "secretName": NAME,
        "items": [
            {"key": CONFIG, "path": CONFIG},
            *({"key": f"{n}.py", "path": f"proof/traffic/{n}.py"} for n in SHIPPED),
        ],
    }
}
START_SECONDS = 120
GRACE_SECONDS = 40  # a call under way is waited for, 10 s at most
READ_SECONDS = 15  # a log without a line for so long is requested again: there is a call every second
SILENCE_SECONDS = 60  # and given up after this
PAUSE_SECONDS = 0.5
SKEW_SECONDS = 0.5


class LogReader:
    """The calls in the log lines received so far, on this machine's clock; acknowledged points go to the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.calls: list[Call] = []
        self.lines, self.begun, self.ended = 0, False, False
        self._ledger, self._offset = ledger, 0.0

    def receive(self, line: str) -> None:
        """Take one line of `in_cluster`; ValueError for any other line, or for the last one when others are missing."""
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise ValueError(f"expected a line of the clients, found {line[:200]!r}") from error
        self.lines += 1
        if "call" in entry:
            call = Call(**entry["call"])
            moved = {name: getattr(call, name) + self._offset for name in ("due", "began", "ended")}
            self.calls.append(replace(call, **moved))
        elif "acknowledged" in entry:
            self._ledger.acknowledge({int(point): mark for point, mark in entry["acknowledged"].items()})
        elif "monotonic" in entry:
            self._begin(entry["monotonic"], entry["time"])
        else:
            self._end(entry["lines"])

    def _begin(self, monotonic: float, clock: float) -> None:
        """Two machines agree on the time of day, and on nothing else."""
        if (ahead := clock - time.time()) > SKEW_SECONDS:
            raise ValueError(f"expected the pod's clock to be this machine's, found it {ahead:.1f} s ahead; set one")
        self._offset = (clock - monotonic) - (time.time() - time.monotonic())
        self.begun = True

    def _end(self, lines: int) -> None:
        if lines != self.lines:
            raise ValueError(f"expected {lines} lines of the clients, found {self.lines}: some of the log was lost")
        self.ended = True


class TrafficPod:
    """Runs while its block does; `calls` is complete when the block ends. As `Traffic`, but in a pod."""

    def __init__(
        self,
        namespace: Namespace,
        pod: Mapping[str, Any],
        endpoints: Endpoints,
        pace: Pace,
        ledger: Ledger,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._namespace, self._pod = namespace, pod
        self._config = {"endpoints": asdict(endpoints), "pace": asdict(pace)}
        self._log = LogReader(ledger)
        self._error: Exception | None = None
        self._clock = clock
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=NAME, daemon=True)

    @property
    def calls(self) -> list[Call]:
        return self._log.calls

    def __enter__(self) -> Self:
        self._remove()  # what an interrupted run left
        try:
            self._start()
        except BaseException:
            self._over.set()
            self._remove()
            raise
        return self

    def check(self) -> None:
        """RuntimeError with what they ended of."""
        if self._error:
            raise RuntimeError(f"expected the clients in pod {NAME} to go on, found: {self._error}") from self._error

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            self._namespace.delete(NAME, notice_seconds=GRACE_SECONDS)
            self._thread.join(GRACE_SECONDS)
        except ApiException as error:
            if not kube.is_gone(error):
                raise
        finally:
            self._over.set()
            self._remove()
        if _type is None and not self._log.ended:
            found = self._error or "that they were cut off"
            raise RuntimeError(f"expected the clients to end when they were asked to, found {found}") from self._error

    def _start(self) -> None:
        package = Path(__file__).parent
        code = {f"{name}.py": (package / f"{name}.py").read_text(encoding="utf-8") for name in SHIPPED}
        secret = {"metadata": {"name": NAME}, "stringData": {**code, CONFIG: json.dumps(self._config)}}
        self._namespace.core.create_namespaced_secret(self._namespace.name, secret)
        for callee, port in (("haproxy", 6333), ("kong", 8000)):
            self._namespace.allow(NAME, callee, port)
        self._namespace.core.create_namespaced_pod(self._namespace.name, self._pod)
        self._thread.start()
        try:
            poll(self._begun, START_SECONDS, expected="the clients to begin", clock=self._clock)
        except TimeoutError as error:
            found = self._namespace.core.read_namespaced_pod(NAME, self._namespace.name)
            raise TimeoutError(f"{error}; found pod {NAME} {found.status.phase} on {found.spec.node_name}") from error

    def _begun(self) -> None:
        self.check()
        require(self._log.begun, "no line of their log")

    def _follow(self) -> None:
        """Receive every line once, until the last one; a log that breaks off is requested again."""
        try:
            last = time.monotonic()
            while not self._log.ended and not self._over.is_set():
                for line in self._lines():
                    self._log.receive(line)
                    last = time.monotonic()
                if self._log.begun and time.monotonic() - last > SILENCE_SECONDS:
                    raise TimeoutError(f"no line of their log for {SILENCE_SECONDS} s")
                self._over.wait(PAUSE_SECONDS)
        except Exception as error:  # reported by `check`
            self._error = error

    def _lines(self) -> Iterator[str]:
        """The lines not received yet, as they arrive; none while there is no log."""
        skip, rest = self._log.lines, b""
        try:
            log: Any = self._namespace.core.read_namespaced_pod_log(
                NAME, self._namespace.name, follow=True, _preload_content=False, _request_timeout=(5, READ_SECONDS)
            )
            for chunk in log.stream(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode() for line in lines[skip:])
                skip = max(0, skip - len(lines))
        except HTTPError:
            return
        except ApiException as error:
            gone = kube.is_gone(error) and self._log.begun
            if gone or error.status in (401, 403):  # else: not yet, or not for a moment
                raise

    def _remove(self) -> None:
        try:
            kube.or_none(lambda: self._namespace.core.delete_namespaced_secret(NAME, self._namespace.name))
        finally:
            self._namespace.remove(NAME)
