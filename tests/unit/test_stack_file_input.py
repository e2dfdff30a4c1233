"""No text that a stack file may hold ends in a traceback: it is a setting, or a mistake that is named."""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings, strategies
from pulumi import automation

from ops import stack as stack_module
from ops.parts import Parts
from ops.stack import OperatorError, StackFiles
from platforms.stack_file import read_stack_file
from policies.exceptions import PolicyException, entries, granted, parsed
from policies.security.exception_rules import exceptions_are_written_and_dated
from settings import Settings, known_keys
from tests.policies.stacks import root

DEV = Path("Pulumi.dev.yaml").read_text()
DECLARED = Path("Pulumi.yaml").read_text()
FEW = settings(
    derandomize=True, max_examples=60, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
SCALARS = strategies.one_of(
    *(strategies.none(), strategies.booleans(), strategies.integers(), strategies.floats(), strategies.text()),
    *(strategies.dates(), strategies.binary(max_size=8)),
)
VALUES = strategies.recursive(
    SCALARS,
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(), inner, max_size=3),
    max_leaves=8,
)
MARKS = """: - [ ] { } , & * ! | > ' " # % @ ` 0x 1e9 ~ << ? !!int !!timestamp !!binary !!set &a *a"""
PIECES = (*MARKS.split(), *("\n", "\t", "\0", "\x85", "\ufeff", "config:\n  ", "rag-platform:qdrantNodes: ", "\n  "))
FRAGMENTS = strategies.lists(strategies.sampled_from(PIECES) | strategies.text(max_size=4), max_size=12).map("".join)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(DECLARED)
    return tmp_path / "Pulumi.dev.yaml"


def check(file: Path, content: bytes) -> str:
    """The mistakes of a stack file with that content; empty: it is right."""
    file.write_bytes(content)
    try:
        Settings.from_file(file, {})
    except pulumi.RunError as error:
        return str(error)
    return ""


@FEW
@given(tail=FRAGMENTS)
@example(tail="\0")
@example(tail="rag-platform:collectionName: !!timestamp x")
@example(tail="rag-platform:collectionName: !!int x")
@example(tail="rag-platform:collectionName: !!bool x")
@example(tail="rag-platform:collectionName: &a [*a]")
@example(tail="rag-platform:collectionName: " + "[" * 1200)
@example(tail="rag-platform:qdrantNodes: 0x" + "f" * 9000)
@example(tail="rag-platform:qdrantNodes: " + "9" * 9000)
@example(tail='rag-platform:collectionName: "\\ud800"')
@example(tail="rag-platform:gatewayJwtKeys: '" + "[" * 90_000 + "'")
@example(tail="a: &a [x,x]\n  b: &b [*a,*a,*a,*a,*a]\n  c: &c [*b,*b,*b,*b,*b,*b]\n  d: [" + "*c," * 9999 + "]")
def test_no_text_behind_a_stack_file_ends_in_a_traceback(file: Path, tail: str) -> None:
    check(file, f"{DEV}  {tail}\n".encode("utf-8", "surrogatepass"))
    check(file, tail.encode("utf-8", "surrogatepass"))


@FEW
@given(content=strategies.binary(max_size=60))
def test_no_bytes_end_in_a_traceback(file: Path, content: bytes) -> None:
    check(file, content)


@FEW
@given(key=strategies.sampled_from(sorted(known_keys() - {"platform"})), value=VALUES)
@example(key="gatewayTrustedProxies", value=[None])
@example(key="qdrantNodes", value=math.nan)
@example(key="policyExceptions", value=[{"rule": ["x"]}])
def test_no_value_of_a_setting_ends_in_a_traceback_given_as_yaml_or_as_the_engine_gives_it(
    key: str, value: Any
) -> None:
    for given_as in (value, json.dumps(value, default=str)):
        with suppress(pulumi.RunError):
            Settings.from_file(Path("Pulumi.dev.yaml"), {key: given_as})


@FEW
@given(value=VALUES | strategies.text())
@example(value="[" * 90_000)
@example(value=[{1: 2}])
@example(value=[{"rule": "a", "resource": "b", "reason": "c", "expires": [[]]}])
def test_no_exception_ends_in_a_traceback_in_the_policies(value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    found = entries({"rag-platform:policyExceptions": text})
    granted({"rag-platform:policyExceptions": text})
    exceptions_are_written_and_dated.judge([root(*found)])
    for entry in value if isinstance(value, list) else [value]:
        parsed(entry)


@pytest.mark.parametrize(
    "written", ["2027-06-30", '"2027-06-30"', "2027-06-30T00:00:00Z", '"2027-06-30 00:00:00 +0000 UTC"']
)
def test_the_day_of_an_exception_needs_no_quotes(file: Path, written: str) -> None:
    line = f"rag-platform:policyExceptions: [{{rule: a, resource: b, reason: c, expires: {written}}}]"
    file.write_text(f"{DEV}  {line}\n")
    [entry] = Settings.from_file(file, {}).policy.exceptions
    found = parsed(entry)
    assert isinstance(found, PolicyException)
    assert found.expires.isoformat() == "2027-06-30"
    assert isinstance(parsed(entry | {"expires": "2027-06-30T12:00:00Z"}), str)


@pytest.mark.parametrize(
    "line",
    [
        "pulumi:tags: {team: search}",
        "pulumi:autonaming: {mode: default}",
        "collectionName: mine",
        "rag-platform:config:collectionName: mine",
        "rag-platform:collectionName: 2024",
        "rag-platform:collectionHnsw: {}",
    ],
)
def test_what_the_engine_accepts_is_accepted(file: Path, line: str) -> None:
    assert check(file, f"{DEV}  {line}\n".encode()) == ""


def test_a_file_of_another_editor_is_read(file: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        assert check(file, DEV.encode(encoding)) == ""
    assert check(file, DEV.replace("\n", "\r\n").encode()) == ""


@pytest.mark.parametrize("content", [b"config:\n  a: \0\n", b"\xff\xfe\xfa", b"config: \x80"])
def test_a_character_that_is_none_is_named_by_its_place(file: Path, content: bytes) -> None:
    assert "position" in check(file, content)


def test_a_file_that_cannot_be_read_is_a_mistake(file: Path) -> None:
    file.mkdir()
    with pytest.raises(pulumi.RunError, match="expected a stack file that can be read"):
        read_stack_file(file)


@pytest.mark.parametrize("name", ["../x", "a/b", "", "..", "a b", "x\0y", "é", "-->", "a" * 101])
def test_a_stack_is_named_by_a_name_and_not_by_a_path(name: str) -> None:
    with pytest.raises(OperatorError, match="expected a stack's name"):
        StackFiles(name=name, parts=Parts()).settings()


SEALED = "  rag-platform:qdrantNodes: {secure: v1:abc}\n  rag-platform:policyExceptions: [{rule: {secure: v1:d}}]\n"


def test_a_setting_that_was_given_as_a_secret_is_decrypted_by_the_engine_and_never_shown(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(DEV + SEALED)
    monkeypatch.setattr(stack_module, "ROOT", file.parent)
    given_as = {"qdrantNodes": "5", "policyExceptions": "[]"}

    class Engine:
        def get_all_config(self) -> dict[str, automation.ConfigValue]:
            return {f"rag-platform:{key}": automation.ConfigValue(value, True) for key, value in given_as.items()}

    monkeypatch.setattr(stack_module, "open_stack", lambda _: Engine())
    files = StackFiles(name="dev", parts=Parts())
    assert files.settings().qdrant.nodes == 5
    for bad in ("hunter2", "8675310"):
        given_as["qdrantNodes"] = bad
        with pytest.raises(pulumi.RunError, match="qdrantNodes: expected another value") as refused:
            files.settings()
        assert bad not in str(refused.value)


def test_without_an_engine_a_sealed_setting_is_named(file: Path) -> None:
    assert "policyExceptions, qdrantNodes: expected plain text" in check(file, (DEV + SEALED).encode())


def test_what_is_written_for_the_engine_means_the_same(file: Path) -> None:
    file.write_text(f"{DEV}  rag-platform:collectionName: 12:30\n  rag-platform:collectionAlias: 2027-06-30\n")
    read = read_stack_file(file)
    assert yaml.safe_load(yaml.safe_dump(read)) == read
    assert read["config"]["rag-platform:collectionName"] == "12:30"
