"""A preview in words: every change in order, what it means, and a gate that stops what is not meant."""

from typing import Any

import pytest
from pulumi.automation import OpType
from pulumi.automation.events import EngineEvent

from ops.review.gate import judge
from ops.review.impact import impact, lost
from ops.review.markdown import marker, report
from ops.review.plan import KINDS, SECRET_MARK, Change, Plan, plan_of
from ops.review.run import refuse_dropped_events
from ops.stack import OperatorError

BOX, DISK, KEY = (
    "docker:index/container:Container",
    "docker:index/volume:Volume",
    "random:index/randomPassword:RandomPassword",
)
COLLECTION = "pulumi-python:dynamic/providers:ReplicatedCollection"
CLUSTER = "rag:components:QdrantCluster"


def step(op: str, kind: str, name: str, **more: Any) -> EngineEvent:
    """A `resourcePreEvent`, as it stands in the engine's log."""
    metadata = {"op": op, "urn": f"urn:pulumi:dev::rag-platform::{kind}::{name}", "type": kind, **more}
    return EngineEvent.from_json({"resourcePreEvent": {"metadata": metadata, "planning": True}})


def said(rule: str, level: str = "mandatory") -> EngineEvent:
    message = "No container is privileged.\nqdrant-0: is privileged; leave it out\n"
    return EngineEvent.from_json(
        {"policyEvent": {"policyName": rule, "message": message, "enforcementLevel": level, "color": "never"}}
    )


def state(**more: Any) -> dict[str, Any]:
    return {"type": "", "urn": "", "id": "", "parent": "", "provider": "", **more}


def change(kind: Any, type_: str, name: str, **more: Any) -> Change:
    return Change(kind=kind, type=type_, name=name, **more)


def test_a_replacement_is_one_change_however_many_steps_it_takes() -> None:
    events = [step(op, BOX, "qdrant-1", keys=["image"]) for op in ("delete-replaced", "replace", "create-replacement")]
    [found] = plan_of(events).changes
    assert (found.kind, found.name, found.keys) == ("replace", "qdrant-1", ("image",))


def test_what_stays_is_counted_and_the_stack_itself_and_its_plugins_are_not() -> None:
    events = [step("same", DISK, "qdrant-0"), step("same", "pulumi:pulumi:Stack", "s")]
    events += [step("create", "pulumi:providers:docker", "engine")]
    plan = plan_of(events)
    assert (plan.unchanged, plan.changes) == (1, [])


def test_what_a_change_is_for_is_told_by_the_inputs_that_differ() -> None:
    event = step(
        "update", CLUSTER, "qdrant", diffs=["workloads"], detailedDiff={"workloads.qdrant.env": {"diffKind": "add"}}
    )
    assert plan_of([event]).changes[0].keys == ("workloads",)


def test_what_policies_said_and_mended_is_part_of_the_plan() -> None:
    plan = plan_of([said("a"), said("b", "advisory")], "  - [remediate]  containers-are-labelled  (1 resource)\n")
    assert [finding.rule for finding in plan.refused] == ["a"]
    assert plan.findings[0].text == "qdrant-0: is privileged; leave it out"
    assert plan.remedied == [("containers-are-labelled", "1 resource")]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (change("replace", BOX, "qdrant-1"), "reads go on from the others"),
        (change("replace", BOX, "kong-0"), "seconds without it"),
        (change("create", BOX, "kong-0"), "kong-0 starts"),
        (change("delete", DISK, "qdrant-0"), "gone"),
        (change("change", "kubernetes:apps/v1:StatefulSet", "qdrant"), "one after another; reads go on"),
        (change("change", "kubernetes:apps/v1:Deployment", "kong"), "old ones go when those are ready"),
        (
            change("change", COLLECTION, "c", keys=("replication_factor",), before={"replication_factor": 2},
                   after={"replication_factor": 3}),
            "stands on 3 nodes (now 2)",
        ),
        (change("delete", COLLECTION, "c", kept=True), "its points stay"),
        (change("delete", "kong:index/plugin:Plugin", "jwt"), "a guard is taken away"),
        (change("change", CLUSTER, "qdrant"), "its parts below"),
        (change("create", "x:y:Unheard", "of"), ""),
    ],
)  # fmt: skip
def test_a_change_is_told_by_what_it_means(found: Change, words: str) -> None:
    assert words in impact(found)
    assert bool(impact(found)) is bool(words)


@pytest.mark.parametrize("kind", ["delete", "replace"])
@pytest.mark.parametrize(
    "type_", [DISK, COLLECTION, KEY, "kubernetes:core/v1:PersistentVolumeClaim", "kubernetes:apps/v1:StatefulSet"]
)
def test_what_holds_data_does_not_go_unasked(kind: Any, type_: str) -> None:
    plan = Plan(changes=[change(kind, type_, "it")])
    stopped, allowed = (judge(plan, allow_data_loss=allow) for allow in (False, True))
    assert (stopped.passes, allowed.passes) == (False, True)
    assert stopped.losses == allowed.losses != []


@pytest.mark.parametrize(
    "harmless",
    [
        change("create", DISK, "qdrant-0"),
        change("change", DISK, "qdrant-0"),
        change("replace", BOX, "qdrant-0"),
        change("delete", COLLECTION, "c", kept=True),
        change("delete", KEY, "gatewayJwt-rag-client-1"),  # meant to go when the stack file drops it
        change("delete", KEY, "gatewayRedisPassword"),  # of a Valkey that the stack file no longer asks for
    ],
)
def test_what_loses_nothing_passes(harmless: Change) -> None:
    assert lost(harmless) == ""
    assert judge(Plan(changes=[harmless]), allow_data_loss=False).passes


def test_a_refusal_by_a_policy_cannot_be_allowed_away() -> None:
    assert not judge(plan_of([said("a")]), allow_data_loss=True).passes
    assert judge(plan_of([said("a", "advisory")]), allow_data_loss=False).passes


def cluster(version: str) -> dict[str, Any]:
    return {"workloads": {"qdrant": {"image": f"qdrant/qdrant:v{version}"}}}


@pytest.mark.parametrize(
    ("old", "new", "passes"),
    [("1.18.0", "1.19.2", True), ("1.17.0", "1.19.2", False), ("1.17", "1.19", False), ("1.17-a", "1.19.2", False)],
)
def test_a_step_that_a_cluster_cannot_take_is_seen_in_old_and_new(old: str, new: str, passes: bool) -> None:
    event = step("update", CLUSTER, "qdrant", old=state(inputs=cluster(old)), new=state(inputs=cluster(new)))
    verdict = judge(plan_of([event]), allow_data_loss=True)
    assert verdict.passes is passes
    assert bool(verdict.steps) is not passes


def page(*events: EngineEvent, allow: bool = False) -> str:
    plan = plan_of(events)
    exception = {"rule": "r", "resource": "x", "reason": "why", "expires": "2027-01-01"}
    return report("dev", plan, judge(plan, allow_data_loss=allow), [exception])


def test_the_report_begins_with_its_mark_and_its_verdict() -> None:
    assert page().startswith(f"{marker('dev')}\n## Preview of `dev`\n\n**May be carried out.** Nothing changes")
    assert "**Stopped.**" in page(said("a"))


def test_the_report_puts_what_is_replaced_and_deleted_before_what_is_created_and_numbers_the_order() -> None:
    text = page(
        step("create", BOX, "new"), step("replace", BOX, "qdrant-1", keys=["image"]), step("delete", BOX, "old")
    )
    assert text.index("### Replaced") < text.index("### Deleted") < text.index("### Created")
    assert "| 2 | Container `qdrant-1` | `image` | qdrant-1 leaves traffic and restarts" in text


def test_the_report_lists_what_is_excused_refused_and_lost() -> None:
    text = page(said("a"), step("delete", DISK, "qdrant-0"))
    assert "r for `x` until 2027-01-01: why" in text
    assert "### Refused by a policy\n- a: qdrant-0: is privileged" in text
    assert "### Data would be gone\n- Volume qdrant-0 would be deleted" in text
    assert "and this is allowed" in page(step("delete", DISK, "qdrant-0"), allow=True)


def test_a_name_cannot_break_out_of_its_cell() -> None:
    assert "| Container `a\\|b'c` |" in page(step("create", BOX, "a|b`c"))


def test_every_operation_of_the_engine_is_classified() -> None:
    assert {op.value for op in OpType} == set(KINDS)


@pytest.mark.parametrize("op", ["delete-replaced", "create-replacement", "import-replacement", "replace", "delete"])
def test_a_disk_that_a_lone_step_would_destroy_is_seen(op: str) -> None:
    plan = plan_of([step(op, DISK, "qdrant-0")])
    assert not judge(plan, allow_data_loss=False).passes
    assert "Nothing changes" not in page(step(op, DISK, "qdrant-0"))


def test_what_an_interrupted_run_left_to_delete_is_seen_beside_what_stays() -> None:
    plan = plan_of([step("same", DISK, "qdrant-0"), step("delete-replaced", DISK, "qdrant-0")])
    assert [change.kind for change in plan.changes] == ["delete"]


@pytest.mark.parametrize("op", ["same", "read", "refresh", "discard", "remove-pending-replace"])
def test_what_only_reads_changes_nothing(op: str) -> None:
    plan = plan_of([step(op, DISK, "qdrant-0")])
    assert (plan.changes, judge(plan, allow_data_loss=False).passes) == ([], True)


def test_an_unknown_operation_stops_the_gate_and_is_named() -> None:
    verdict = judge(plan_of([step("transmogrify", DISK, "qdrant-0")]), allow_data_loss=True)
    assert not verdict.passes
    assert "found transmogrify qdrant-0" in verdict.unknown[0]


def test_an_event_that_the_sdk_dropped_stops_the_preview() -> None:
    with pytest.raises(OperatorError, match="1 that the Pulumi SDK could not read"):
        refuse_dropped_events(["Failed to parse engine event\nEvent: …", "something else"])
    refuse_dropped_events(["something else"])


def test_an_import_is_called_one() -> None:
    text = page(step("import", DISK, "qdrant-0"))
    assert "1 imported" in text
    assert "it is there already" in text


def test_a_wrapped_secret_is_never_printed() -> None:
    secret = {SECRET_MARK: "1b47061264138c4ac30d75fd1eb44270", "plaintext": "hunter2", "ciphertext": "hunter2"}
    inputs = {"replication_factor": secret, "deep": [{"deeper": secret}]}
    event = step("update", COLLECTION, "c", diffs=["replication_factor"], old=state(inputs=inputs),
                 new=state(inputs=inputs))  # fmt: skip
    assert "hunter2" not in str(plan_of([event]))
    assert "hunter2" not in page(event)
    assert "[secret]" in page(event)


def test_a_report_of_any_size_fits_a_comment_and_keeps_the_verdict() -> None:
    events = [said(f"rule-{n}") for n in range(3000)]
    events += [step("delete", DISK, f"disk-{n}-{'é' * 4000}") for n in range(3000)]
    text = page(*events)
    assert len(text) <= len(text.encode()) < 65_536
    assert text.startswith(marker("dev"))
    assert "**Stopped.**" in text
    assert "more lines are in the output" in text.splitlines()[-1]


def test_text_cannot_become_markup_or_notify_somebody() -> None:
    text = page(step("create", BOX, "a\n## b"), said("<script>"), said("@everyone"))
    assert "\n## b" not in text
    assert "\\<script>" in text
    assert "@everyone" not in text
    assert "name@sha256:0" in report("dev", Plan(), judge(Plan(), allow_data_loss=False), [{"rule": "name@sha256:0"}])
