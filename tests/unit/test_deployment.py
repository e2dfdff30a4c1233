"""Each step of the engine is one line; an error of it ends with a diagnosis; other exceptions pass unchanged."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from pulumi.automation import CommandError, CommandResult
from pulumi.automation.events import EngineEvent
from rich.console import Console

from ops.deployment import Progress, run
from ops.stack import OperatorError

TRACEBACK = """Traceback (most recent call last):
  File "collection.py", line 7, in create
    raise RuntimeError(text)
RuntimeError: a collection docs is already there and does not fit: shard_number: expected 6, found 2

"""


def step(moment: str, op: str, name: str = "qdrant-0", kind: str = "docker:index/container:Container") -> EngineEvent:
    """A `resourcePreEvent` or `resOutputsEvent`, as it stands in the engine's log."""
    urn = f"urn:pulumi:dev::rag-platform::rag:components:QdrantCluster${kind}::{name}"
    return EngineEvent.from_json({moment: {"metadata": {"op": op, "urn": urn, "type": kind}}})


def diagnostic(severity: str, message: str, ephemeral: bool = False) -> EngineEvent:
    return EngineEvent.from_json(
        {"diagnosticEvent": {"severity": severity, "message": message, "ephemeral": ephemeral, "color": "never"}}
    )


def shown(*events: EngineEvent) -> tuple[Progress, list[str]]:
    """The progress after these events, and its lines without the time at their beginning."""
    output = io.StringIO()
    progress = Progress(Console(file=output, width=200))
    for event in events:
        progress.event(event)
    return progress, [line.partition(" s ")[2] for line in output.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("op", "word"),
    [
        ("create", "create"),
        ("update", "update"),
        ("delete", "delete"),
        ("create-replacement", "replace"),
        ("delete-replaced", "stop old"),
    ],
)
def test_a_step_is_shown_when_it_starts_and_when_it_is_done(op: str, word: str) -> None:
    progress, lines = shown(step("resourcePreEvent", op), step("resOutputsEvent", op))
    assert lines == [f"{word:>8} … qdrant-0 Container", f"{word:>8}   qdrant-0 Container"]
    assert progress.changes == [(op, "qdrant-0")]


@pytest.mark.parametrize("op", ["same", "replace", "refresh"])
def test_operations_that_change_nothing_by_themselves_are_not_shown(op: str) -> None:
    progress, lines = shown(step("resourcePreEvent", op), step("resOutputsEvent", op))
    assert (progress.changes, lines) == ([], [])


def test_a_step_that_only_started_is_no_change() -> None:
    assert shown(step("resourcePreEvent", "create"))[0].changes == []


def test_warnings_are_shown_errors_are_collected_and_the_rest_is_dropped() -> None:
    progress, lines = shown(
        diagnostic("warning", "using an old plugin\n"),
        diagnostic("error", "no such image\n"),
        diagnostic("debug", "registering resource"),
        diagnostic("info", "hello"),
        diagnostic("warning", "moment by moment", ephemeral=True),
    )
    assert lines == ["warning  using an old plugin"]
    assert progress.errors == ["no such image"]


def test_brackets_of_a_name_or_a_message_are_shown_as_they_are() -> None:
    _, lines = shown(step("resOutputsEvent", "create", name="list[red]"), diagnostic("warning", "[bold]odd[/bold]"))
    assert lines == ["  create   list[red] Container", "warning  [bold]odd[/bold]"]


def operation(*events: EngineEvent, stderr: str | None = None) -> Callable[..., str]:
    """An engine operation with these events, that fails when `stderr` is given."""

    def operate(*, on_event: Callable[[EngineEvent], Any], **options: Any) -> str:
        for event in events:
            on_event(event)
        if stderr is not None:
            raise CommandError(CommandResult(stdout="", stderr=stderr, code=255))
        return f"done with {options}"

    return operate


def stopped(*events: EngineEvent, stderr: str = "") -> str:
    with pytest.raises(OperatorError) as refused:
        run(Console(file=io.StringIO()), "pulumi up", operation(*events, stderr=stderr))
    return str(refused.value)


def test_an_operation_gets_its_options_and_gives_its_result() -> None:
    result, progress = run(
        Console(file=io.StringIO()), "pulumi up", operation(step("resOutputsEvent", "create")), refresh=True
    )
    assert result == "done with {'refresh': True}"
    assert progress.changes == [("create", "qdrant-0")]


def test_a_failed_operation_reports_each_reason_once_with_what_to_do() -> None:
    assert stopped(
        diagnostic("error", TRACEBACK), diagnostic("error", TRACEBACK), diagnostic("error", "update failed")
    ) == (
        "pulumi up stopped:\n"
        "a collection docs is already there and does not fit: shard_number: expected 6, found 2\n"
        "Fix it and run the same command again."
    )


def test_without_a_reason_the_last_lines_of_the_engine_are_reported() -> None:
    text = stopped(stderr="\n".join(f"line {number}" for number in range(40)))
    assert "line 39" in text
    assert "line 3\n" not in text


def test_an_exception_of_our_own_passes_unchanged() -> None:
    def broken(**_: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(Console(file=io.StringIO()), "pulumi up", broken)
