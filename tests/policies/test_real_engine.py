"""The packs under the real engine: a good stack passes, a bad one is refused at preview, rule by rule and in words."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policies import catalogue
from policies.rule import Subject
from tests.policies.bad_stacks import BAD_STACKS
from tests.policies.mini_stack import Preview, preview
from tests.policies.stacks import IN_FORCE, Bad

pytestmark = pytest.mark.engine
PACKS = Path(__file__).resolve().parents[2] / "policies"
EXPIRED = {"rule": "images-are-pinned", "resource": "x", "reason": "the vendor has no tags", "expires": "2020-01-01"}
MENDED = {rule.name for rule in catalogue.RULES if rule.level == "remediate"}
PRIVILEGED = Subject(
    type="docker:index/container:Container",
    name="gpu-0",
    inputs={"privileged": True, "memory": 64, "capabilities": {"drops": ["ALL"]}},
)


def last_of_each_rule() -> list[Bad]:
    return list({bad.rule: bad for bad in BAD_STACKS}.values())


def all_bad(good: list[Subject]) -> list[Subject]:
    """One stack with a bad line for every rule; collections are many, each with one."""
    stack = good
    for bad in last_of_each_rule():
        changed = bad.of(good)
        if "Collection" in bad.resource:
            [collection] = [subject for subject in changed if subject not in good]
            stack = [*stack, replace(collection, name=bad.rule)]
        else:
            stack = bad.of(stack)
    return stack


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "strict.json"
    path.write_text(json.dumps(IN_FORCE))
    return path


@pytest.fixture(scope="module")
def refused(good: list[Subject], config: Path, tmp_path_factory: pytest.TempPathFactory) -> Preview:
    return preview(all_bad(good), tmp_path_factory.mktemp("bad"), [PACKS], config, [EXPIRED])


def test_a_good_stack_passes(good: list[Subject], config: Path, tmp_path: Path) -> None:
    passed = preview(good, tmp_path, [PACKS], config)
    assert (passed.code, passed.said) == (0, {})


def test_a_bad_stack_is_refused_at_preview(refused: Preview) -> None:
    assert refused.code != 0


@pytest.mark.parametrize("bad", last_of_each_rule(), ids=lambda bad: bad.rule)
def test_its_rule_advises_what_to_write(refused: Preview, bad: Bad) -> None:
    if bad.rule == "containers-are-labelled":
        assert f"[remediate]  {bad.rule}" in refused.printed
    elif bad.rule == "exceptions-are-written-and-dated":
        assert any("expired on 2020-01-01" in message for message in refused.said[bad.rule])
    else:
        assert any(bad.says in message for message in refused.said[bad.rule])


def test_what_is_safe_is_mended_and_reported(config: Path, tmp_path: Path) -> None:
    plain = replace(PRIVILEGED, inputs={"memory": 64, "capabilities": {"drops": ["ALL"]}})
    mended = preview([plain], tmp_path, [PACKS], config)
    assert mended.code == 0
    assert all(f"[remediate]  {rule}" in mended.printed for rule in MENDED)


@pytest.mark.parametrize(("expires", "code"), [("2027-10-01", 0), ("2020-01-01", 1)])
def test_an_exception_excuses_until_its_day(config: Path, tmp_path: Path, expires: str, code: int) -> None:
    exception: dict[str, Any] = {"rule": "containers-are-unprivileged", "resource": "gpu-*", "expires": expires}
    exception["reason"] = "the driver of this card needs the machine's devices"
    assert preview([PRIVILEGED], tmp_path, [PACKS], config, [exception]).code == code


def test_each_pack_stands_alone_and_is_configured_alone(tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.json"
    chosen.write_text(json.dumps({"containers-are-unprivileged": {"enforcementLevel": "advisory"}}))
    done = preview([PRIVILEGED], tmp_path, [PACKS / pack.name for pack in catalogue.PACKS], chosen)
    assert (done.code, set(done.said)) == (0, {"containers-are-unprivileged"})


def test_the_bad_stack_has_a_line_for_every_rule() -> None:
    assert {bad.rule for bad in last_of_each_rule()} == {rule.name for rule in catalogue.RULES}
