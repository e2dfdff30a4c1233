"""Running an operation of the engine: a line for each step, and a diagnosis of its errors."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from pulumi import automation
from pulumi.automation.events import EngineEvent
from rich.console import Console
from rich.markup import escape

from ops.diagnosis import diagnosis
from ops.progress import every
from ops.stack import OperatorError

WORDS = {
    "create": "create",
    "create-replacement": "replace",
    "replace": "replace",
    "update": "update",
    "delete": "delete",
    "delete-replaced": "stop old",
    "read": "read",
    "read-replacement": "replace",
    "refresh": "refresh",
    "import": "import",
    "import-replacement": "replace",
    "discard": "forget",
    "discard-replaced": "forget",
}
STEPS = frozenset(WORDS) - {"replace", "refresh"}  # "replace" only sums up its two halves


class Progress:
    """Collects engine events and prints one line for each step that changes something."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self.errors: list[str] = []
        self.changes: list[tuple[str, str]] = []  # (operation, resource name)
        self.events: list[EngineEvent] = []
        self._under_way: dict[str, tuple[str, float]] = {}  # URN -> what is done to it, since when

    def event(self, event: EngineEvent) -> None:
        self.events.append(event)
        if step := event.resource_pre_event:
            self._started(step.metadata)
        if done := event.res_outputs_event:
            self._done(done.metadata)
        if (found := event.diagnostic_event) and found.severity in ("error", "warning") and not found.ephemeral:
            self._diagnostic(found.severity, found.message)

    def _started(self, step: Any) -> None:
        if step.op in STEPS:
            self._under_way[step.urn] = (f"{WORDS[step.op]} {step.urn.rpartition('::')[2]}", time.monotonic())
            self._line(f"[dim]{WORDS[step.op]:>8} … {_label(step)}[/dim]")

    def _done(self, step: Any) -> None:
        self._under_way.pop(step.urn, None)
        if step.op in STEPS:
            self.changes.append((str(step.op.value), step.urn.rpartition("::")[2]))
            self._line(f"{WORDS[step.op]:>8}   {_label(step)}")

    def under_way(self) -> str:
        """What has begun and not ended, and for how long; empty when nothing has."""
        now = time.monotonic()
        steps = [f"{what} ({now - since:.0f} s)" for what, since in list(self._under_way.values())]
        return f"{now - self._began:6.1f} s still under way: {', '.join(steps)}" if steps else ""

    def _diagnostic(self, severity: str, message: str) -> None:
        text = message.strip()
        if severity == "error":
            self.errors.append(text)
        elif text and not text.startswith("using pulumi-resource-"):  # where a plugin was found is of no interest
            self._line(f"[yellow]warning[/yellow]  {escape(text)}")

    def _line(self, text: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._began:6.1f} s[/dim] {text}", highlight=False)


def run(console: Console, what: str, operation: Callable[..., Any], **options: Any) -> tuple[Any, Progress]:
    """Run `operation` (up, preview, destroy of a stack) with progress; OperatorError with a diagnosis."""
    progress = Progress(console)
    try:
        with every(console, progress.under_way):
            return operation(on_event=progress.event, **options), progress
    except automation.CommandError as error:
        raise stopped(what, progress.errors, str(error)) from error
    except RuntimeError as error:
        raise unread(what, error) from error


def unread(what: str, error: RuntimeError) -> OperatorError:
    """The error of an operation whose events ended before their summary."""
    return OperatorError(
        f"{what}: expected the engine's events to their summary, found: {error}. What it did is not known; compare "
        "pulumi version with the pinned one (pyproject.toml), then run make preview REFRESH=1"
    )


def stopped(what: str, errors: Sequence[str], output: str) -> OperatorError:
    """The error of an operation that failed: its diagnosis, or the last lines of its output."""
    reasons = "\n".join(diagnosis(errors) or output.strip().splitlines()[-12:])
    return OperatorError(f"{what} stopped:\n{reasons}\nFix it and run the same command again.")


def _label(step: Any) -> str:
    kind = step.type.rpartition(":")[2].rpartition("/")[2]
    return f"{escape(step.urn.rpartition('::')[2])} [dim]{kind}[/dim]"
