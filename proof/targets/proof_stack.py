"""A stack under test: a stack file under another name and prefix, so that no other stack is touched."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Self

from pulumi import automation
from rich.console import Console

from ops import gateway, lifecycle
from ops.deployment import Progress
from ops.ingest import IngestClient
from ops.parts import load_parts
from ops.stack import OperatorError, StackFiles, open_stack, outputs, resources, use_parts
from settings import Settings

TOKEN_SECONDS = 12 * 3600
NICENESS = 19  # of an `up` in a process of its own: a process weighs as much as all of Docker's containers together


def stderr_console() -> Console:
    """Where the progress of a tested stack is printed; stdout is for results."""
    return Console(stderr=True, highlight=False, width=150)


@dataclass
class ProofStack:
    """A described stack, up or not; the same on every platform."""

    files: StackFiles
    console: Console = field(default_factory=stderr_console)

    @classmethod
    def described(cls, name: str, source: str, prefix: str, **config: Any) -> Self:
        """A copy of the stack file `source` with some keys set otherwise; nothing is up yet."""
        parts = load_parts()
        use_parts(parts)
        return cls(StackFiles(name=name, source=source, parts=parts).with_config(namePrefix=prefix, **config))

    @property
    def prefix(self) -> str:
        """Of its containers' names on Docker, its namespace on Kubernetes."""
        return self.files.config["namePrefix"]

    @property
    def settings(self) -> Settings:
        return self.files.settings()

    @cached_property
    def outputs(self) -> dict[str, Any]:
        return outputs(open_stack(self.files))

    def up(self, refresh: bool = False, **changed: Any) -> tuple[Progress, float]:
        """`up` with changed settings; returns what it did, and how many seconds it took."""
        self._set(changed)
        began = time.monotonic()
        return lifecycle.deploy(self.files, self.console, refresh=refresh), time.monotonic() - began

    def up_in_subprocess(self, **changed: Any) -> list[tuple[str, str]]:
        """`up` with changed settings in a process of its own; returns (operation, resource) pairs.

        For measurements with clients in threads of this process: the Pulumi program would compete with them for the
        interpreter. Progress is printed to stderr.
        """
        self._set(changed)
        processes = get_context("spawn")
        receiver, sender = processes.Pipe(duplex=False)
        process = processes.Process(target=_send_changes, args=(self.files, sender), daemon=True)
        process.start()
        sender.close()
        try:
            result: list[tuple[str, str]] | str = receiver.recv()
        except EOFError:
            result = "expected `up` to report how it ended, found its process gone; run the same again"
        process.join()
        if isinstance(result, str):
            raise OperatorError(result)
        return result

    def _set(self, changed: Mapping[str, Any]) -> None:
        self.files = self.files.with_config(**changed)
        self.__dict__.pop("outputs", None)  # of the settings before

    def down(self, *, purge: bool) -> list[str]:
        """Returns the names of what was kept."""
        return lifecycle.take_down(self.files, self.console, purge=purge)

    def has_state(self) -> bool:
        """Whether an earlier run left a state, complete or not."""
        try:
            return bool(resources(open_stack(self.files)))
        except automation.CommandError:
            return True  # the engine cannot read it any more

    def is_up(self) -> bool:
        """Whether an earlier run left it running."""
        try:
            return bool(outputs(open_stack(self.files)))
        except (OperatorError, automation.CommandError):
            return False

    def token(self, valid_seconds: int = 600) -> str:
        """For as long as the gateway allows, if that is less."""
        most = self.settings.gateway.token_hours * 3600 - 60
        found = self.outputs
        return gateway.mint_token(found["gatewayJwtKey"], found["gatewayJwtSecret"], min(valid_seconds, most))

    @property
    def probes(self) -> list[dict[str, Any]]:
        """How the services of the stack file that say so are called, instead of the reference service."""
        return [entry.probe.model_dump() for entry in self.settings.services.values() if entry.probe]

    def bearer(self, valid_seconds: int = TOKEN_SECONDS) -> dict[str, str]:
        """The header of a client that the gateway lets in."""
        return {"Authorization": f"Bearer {self.token(valid_seconds)}"}

    def ingest(self) -> IngestClient:
        return IngestClient(self.outputs["ingestUrl"], self.outputs["gatewayServiceToken"])


def _send_changes(files: StackFiles, sender: Connection) -> None:
    """Send what `up` changed, or the text of what stopped it: not every exception can be pickled."""
    os.nice(NICENESS)
    try:
        sender.send(lifecycle.deploy(files, stderr_console()).changes)
    except OperatorError as error:
        sender.send(str(error))
    except Exception as error:
        sender.send(repr(error))
        raise


def without_rate_limits(settings: Settings) -> dict[str, Any]:
    """Settings under which one address may send any number of requests, with an exception from policy for a week."""
    exception = {
        "rule": "routes-are-limited",
        "resource": "gateway/rag-service",
        "reason": "a test stack, which only this machine reaches, with all load from one address",
        "expires": (date.today() + timedelta(days=7)).isoformat(),
    }
    exceptions = [*settings.policy.exceptions, exception]
    return {"gatewayRateLimitPerMinute": "100000", "gatewayFloodBurst": "100000", "policyExceptions": exceptions}
