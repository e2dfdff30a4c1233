"""Runs the preview with the policies, and passes its plan through the gate."""

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pulumi import automation
from rich.console import Console

from ops.deployment import Progress, stopped
from ops.diagnosis import diagnosis
from ops.packs import policy_options
from ops.progress import working
from ops.review.gate import Verdict, judge
from ops.review.markdown import report
from ops.review.plan import Plan, plan_of
from ops.stack import OperatorError, StackFiles


@dataclass(frozen=True, kw_only=True)
class Review:
    """The planned changes, and whether they may be made."""

    plan: Plan
    verdict: Verdict
    markdown: str


def review(
    console: Console,
    files: StackFiles,
    stack: automation.Stack,
    *,
    allow_data_loss: bool,
    empty: Collection[str] = (),
    **options: Any,
) -> Review:
    """Preview the stack; OperatorError when the engine fails for another reason than a policy.

    `empty` are resources known to hold no data any more: nothing is lost with them.
    """
    with working(console, "previewing the changes and checking the policies"):
        plan = _preview(files, stack, options)
    verdict = judge(plan, allow_data_loss=allow_data_loss, empty=empty)
    return Review(
        plan=plan, verdict=verdict, markdown=report(files.name, plan, verdict, files.settings().policy.exceptions)
    )


def _preview(files: StackFiles, stack: automation.Stack, options: dict[str, Any]) -> Plan:
    progress = Progress(Console(quiet=True))
    failed = None
    try:
        with warnings.catch_warnings(record=True) as dropped:
            warnings.simplefilter("always")
            done = stack.preview(
                on_event=progress.event,
                color="never",
                diff=True,
                **policy_options(files.source or files.name),
                **options,
            )
        printed = done.stdout
        refuse_dropped_events([str(warning.message) for warning in dropped])
    except automation.CommandError as error:
        failed, printed = error, str(error)
    plan = plan_of(progress.events, printed)
    if failed and (diagnosis(progress.errors) or not plan.refused):
        raise stopped("pulumi preview", progress.errors, printed) from failed
    return plan


def refuse_dropped_events(warned: Collection[str]) -> None:
    """OperatorError when the SDK could not read an event: it only warns, and a change would be missing in the plan."""
    if lost := [text for text in warned if "engine event" in text or "event stream" in text]:
        raise OperatorError(
            f"expected every event of the preview, found {len(lost)} that the Pulumi SDK could not read; install the "
            "CLI and the SDK of the same release (pyproject.toml). Nothing was changed"
        )


def refuse_unless_passed(done: Review) -> None:
    """OperatorError with every reason, before anything is made."""
    verdict = done.verdict
    if verdict.passes:
        return
    reasons = [*verdict.refused, *verdict.steps, *verdict.unknown]
    if not verdict.allowed:
        reasons += [f"{loss}; to confirm: ALLOW_DATA_LOSS=1" for loss in verdict.losses]
    listed = "\n".join(f"  - {reason}" for reason in reasons)
    raise OperatorError(
        f"expected a stack that may be deployed, found {len(reasons)} reason(s) against it:\n{listed}\n"
        "docs/policies.md says how to satisfy each rule; nothing was made."
    )


def refuse_changes(stack: str, plan: Plan) -> None:
    """OperatorError when the plan has any: what runs is not what the stack file says."""
    if found := [*(f"{change.kind} {change.name}" for change in plan.changes), *plan.unknown]:
        raise OperatorError(
            f"expected a stack {stack} as its stack file has it, found {len(found)} difference(s): "
            f"{', '.join(found[:10])}; nothing was changed. What was changed by hand is repaired by make up "
            f"STACK={stack} REFRESH=1, or kept by writing it into the stack file"
        )
