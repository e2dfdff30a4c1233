"""The clients in a pod of the cluster: there is no other way to its balancer, and none that outlives a pod."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from proof.calls import Call
from proof.crowd import Doors, Pace
from proof.ledger import Ledger
from proof.namespace import Namespace, lone_pod, until
from providers import kube

NAME = "crowd"
TOLD = "told.json"
SHIPPED = ("__init__", "calls", "clients", "crowd", "inside", "ledger", "traffic", "vectors")
START_SECONDS = 120
GRACE_SECONDS = 40  # a call under way is waited for, 10 s at most
DEAF_SECONDS = 0.5  # before the log is asked for again


class Heard:
    """What was heard so far: calls on this machine's clock, and the ledger that was given."""

    def __init__(self, ledger: Ledger) -> None:
        self.calls: list[Call] = []
        self.lines, self.begun, self.ended = 0, False, False
        self._ledger, self._later = ledger, 0.0

    def hear(self, line: str) -> None:
        """Take one line of `proof.inside`; a line of anything else, such as a traceback, is a ValueError."""
        said = json.loads(line)
        self.lines += 1
        if "call" in said:
            call = Call(**said["call"])
            moved = {name: getattr(call, name) + self._later for name in ("due", "began", "ended")}
            self.calls.append(replace(call, **moved))
        elif "acknowledged" in said:
            self._ledger.acknowledge({int(point): mark for point, mark in said["acknowledged"].items()})
        elif "monotonic" in said:  # two machines agree on the time of day, and on nothing else
            self._later = (said["time"] - said["monotonic"]) - (time.time() - time.monotonic())
            self.begun = True
        else:
            self.ended = said["ended"]


class PodCrowd:
    """Runs while its block does; `calls` is complete when the block ends. As `Traffic`, but in a pod."""

    def __init__(
        self, space: Namespace, image: str, doors: Doors, pace: Pace, *, ledger: Ledger, machine: str = ""
    ) -> None:
        self._space, self._image, self._machine = space, image, machine
        self._told = {"doors": asdict(doors), "pace": asdict(pace)}
        self._heard = Heard(ledger)
        self._wrong: Exception | None = None
        self._listener = threading.Thread(target=self._listen, name=NAME, daemon=True)

    @property
    def calls(self) -> list[Call]:
        return self._heard.calls

    def __enter__(self) -> Self:
        self._remove()  # what an interrupted run left
        try:
            self._start()
        except BaseException:  # who is not let in is not asked to leave
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
            self._space.core.delete_namespaced_pod(NAME, self._space.name, grace_period_seconds=GRACE_SECONDS)
            self._listener.join(GRACE_SECONDS + DEAF_SECONDS)
        finally:
            self._remove()
        if _type is None and not self._heard.ended:
            raise RuntimeError("expected the clients to end when they were asked to, found that they were cut off")

    def _made(self, stream: str) -> int:
        return sum(call.stream == stream for call in list(self.calls))

    def _going_on(self) -> bool:
        if self._wrong:
            raise RuntimeError(f"expected the clients in pod {NAME} to go on, found: {self._wrong}") from self._wrong
        return True

    def _start(self) -> None:
        for callee, port in (("haproxy", 6333), ("kong", 8000)):
            self._space.allow(NAME, callee, port)
        package = Path(__file__).parent
        code = {f"{name}.py": (package / f"{name}.py").read_text(encoding="utf-8") for name in SHIPPED}
        secret = {"metadata": {"name": NAME}, "stringData": {**code, TOLD: json.dumps(self._told)}}
        self._space.core.create_namespaced_secret(self._space.name, secret)
        items = [{"key": file, "path": file if file == TOLD else f"proof/{file}"} for file in secret["stringData"]]
        pod = lone_pod(
            NAME,
            self._image,
            ["python", "-m", "proof.inside", f"/files/{TOLD}"],
            env={"PYTHONPATH": "/files", "PYTHONDONTWRITEBYTECODE": "1"},
            files={"secret": {"secretName": NAME, "items": items}},
            machine=self._machine,
        )
        self._space.core.create_namespaced_pod(self._space.name, pod)
        self._listener.start()
        try:
            until("the clients to begin", lambda: self._going_on() and self._heard.begun, START_SECONDS)
        except TimeoutError as error:
            found = self._space.core.read_namespaced_pod(NAME, self._space.name)
            raise TimeoutError(f"{error}; found pod {NAME} {found.status.phase} on {found.spec.node_name}") from error

    def _listen(self) -> None:
        """Hear every line once, until the last one; a log that breaks off is asked for again."""
        try:
            while not self._heard.ended:
                for line in self._lines():
                    self._heard.hear(line)
                time.sleep(DEAF_SECONDS)
        except Exception as error:  # told by whoever waits
            self._wrong = error

    def _lines(self) -> Iterator[str]:
        """The lines that were not heard yet, as they come; none when there is no log to be had now."""
        skip, rest = self._heard.lines, b""
        try:
            log: Any = self._space.core.read_namespaced_pod_log(
                NAME, self._space.name, follow=True, _preload_content=False
            )
            for chunk in log.stream(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode() for line in lines[skip:])
                skip = max(0, skip - len(lines))
        except HTTPError:
            return
        except ApiException as error:
            if error.status not in (400, 404) or (error.status == 404 and self._heard.begun):
                raise  # 400: its container is still being made

    def _remove(self) -> None:
        self._space.remove(NAME)
        try:
            self._space.core.delete_namespaced_secret(NAME, self._space.name)
        except ApiException as error:
            if not kube.is_gone(error):
                raise
