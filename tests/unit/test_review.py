"""A preview in words: every change in order, what it means, and a gate that stops what is not meant."""

import json
import re
from typing import Any

import pytest
from pulumi.automation.events import EngineEvent, OpType

from ops.review.gate import judge
from ops.review.impact import impact, lost
from ops.review.markdown import marker, report
from ops.review.plan import KINDS, UNCHANGED, Change, Plan, plan_of

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


OPERATIONS = (
    *("same", "create", "update", "delete", "replace", "create-replacement", "delete-replaced", "read"),
    *("read-replacement", "refresh", "discard", "discard-replaced", "remove-pending-replace", "import"),
    "import-replacement",
)


def test_every_operation_of_the_engine_is_classified() -> None:
    assert {operation.value for operation in OpType} == set(OPERATIONS) == KINDS.keys() | UNCHANGED
    assert not KINDS.keys() & UNCHANGED


@pytest.mark.parametrize("operation", [op for op, kind in KINDS.items() if kind in ("delete", "replace")])
def test_every_operation_that_ends_a_disk_stops_the_gate_alone_and_with_others(operation: str) -> None:
    for others in ((), ("same",), ("update",)):
        events = [step(each, DISK, "qdrant-0") for each in (*others, operation)]
        assert not judge(plan_of(events), allow_data_loss=False).passes
        assert "Nothing changes" not in page(*events)


def test_an_unknown_operation_stops_the_gate_by_name_whatever_is_allowed() -> None:
    for kind in (BOX, DISK, "x:y:Unheard"):
        events = [step("teleport", kind, "it"), step("create", BOX, "kong-0")]
        verdict = judge(plan_of(events), allow_data_loss=True)
        assert not verdict.passes
        assert "teleport" in verdict.unknown[0]
        assert "**Stopped.** 1 not known, 1 created" in page(*events)


def test_an_unknown_kind_of_difference_hides_nothing() -> None:
    event = step("delete", DISK, "qdrant-0", detailedDiff={"driver": {"diffKind": "transmute"}})
    assert plan_of([event]).changes[0].kind == "delete"


def test_an_unknown_level_of_a_policy_refuses() -> None:
    assert not judge(plan_of([said("a", "catastrophic")]), allow_data_loss=True).passes


def test_a_preview_that_only_imports_says_so() -> None:
    text = page(step("import", DISK, "qdrant-0"))
    assert "**May be carried out.** 1 imported" in text
    assert "managed from now on" in text


WRAPPED = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"hunter2"'}


@pytest.mark.parametrize(
    "hidden",
    [
        {"replication_factor": WRAPPED},
        {"replication_factor": [{"deep": {"er": WRAPPED}}]},
        {"replication_factor": json.dumps({"a": WRAPPED})},
        {"replication_factor": json.dumps(json.dumps([WRAPPED]))},
        {"workloads": {"qdrant": {"env": {"QDRANT__CLUSTER__P2P__ENABLE_TLS": WRAPPED}}}},
        {"workloads": {"qdrant": {"image": json.dumps({"i": WRAPPED})}}},
    ],
)
@pytest.mark.parametrize("kind", [CLUSTER, COLLECTION])
@pytest.mark.parametrize("sides", [("old",), ("new",), ("old", "new")])
def test_a_secret_is_never_part_of_a_plan_or_its_report(
    hidden: dict[str, Any], kind: str, sides: tuple[str, ...]
) -> None:
    states = {side: state(inputs=hidden) for side in sides}
    event = step("update", kind, "it", diffs=list(hidden), **states)
    assert "hunter2" not in repr(plan_of([event])) + page(event)
    assert "hunter2" in repr(hidden)  # the twin: it stands in what was given


def test_the_report_fits_into_a_comment_whatever_it_lists() -> None:
    wide = "🜂" * 3000
    events = [step("create", BOX, f"{n}-{wide}") for n in range(3000)] + [said(f"rule-{n}") for n in range(900)]
    events += [step("replace", DISK, f"disk-{n}", keys=[f"{wide}{k}" for k in range(9)]) for n in range(2000)]
    text = page(*events)
    assert 60_000 < len(text.encode()) <= 65_536
    assert text.index("**Stopped.**") < text.index("Refused by a policy") < text.index("Data would be gone")
    assert "3000 created" in text
    for heading in ("Refused by a policy", "Data would be gone", "Replaced", "Created", "Written exceptions"):
        section = text.partition(f"### {heading}\n")[2].partition("###")[0]
        assert section.count("\n- ") + section.count("\n| ") or section.startswith("- "), heading
    assert "and 3000 more" in text


def test_a_report_that_fits_is_whole() -> None:
    text = page(*[step("create", BOX, f"box-{n}") for n in range(300)])
    assert "more" not in text
    assert "box-299" in text


@pytest.mark.parametrize("evil", ["<script>x</script>", "@everyone", "a\n# b", "![x](http://e)", "a|b", "`c`", "#12",
                                  "**b**", "a\r\n\r\n## c", "\u202eback", "\ud800", "-->", "~~x~~",
                                  "x" * 90_000, ""])  # fmt: skip
def test_nothing_that_a_resource_or_an_exception_is_called_is_read_as_markup(evil: str) -> None:
    plan = plan_of(
        [step("delete", DISK, evil, diffs=[evil]), step("create", f"x:y:{evil}", evil), said(evil, "advisory")]
    )
    text = report("dev", plan, judge(plan, allow_data_loss=False), [{"rule": evil, "resource": evil, "reason": evil}])
    assert len(text.encode()) <= 65_536
    body = text.partition("\n")[2]
    outside = re.sub(r"`[^`\n]*`", "", re.sub(r"\\.", "", body))
    assert not re.search(r"[<>`~\u202e\[]|[@#]\w|^# b|^## c", outside, re.MULTILINE)
    assert outside.count("**") == 2 * len(re.findall("Stopped|the disk", outside))
    rows = [line for line in re.sub(r"\\\|", "", body).splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} <= {5}
