"""The commands: each has a dry run that changes nothing, a target of make, and an end that can be told by its exit."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from access.kubernetes import kube
from cli import daytwo as commands
from cli import entry
from cli.__main__ import app
from ops.daytwo.protection import allow_deletion
from ops.daytwo.running import Running
from ops.daytwo.verify import read_ledger
from ops.paths import ROOT
from ops.stack import OperatorError
from tests.unit.fake_contents import KEY, FakeContents, contents

COMMANDS = ("backup", "restore", "migrate", "replace-node", "scale", "verify")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeContents]:
    with contents() as fake:
        fake.add("docs", 30)
        found = {"qdrantNodeUrls": fake.urls, "qdrantApiKey": KEY, "collection": "docs"}
        monkeypatch.setattr(commands, "files_of", lambda _: None)
        monkeypatch.setattr(commands, "outputs_of", lambda _: found)
        monkeypatch.setattr(Running, "of", lambda _: fake.running)
        yield fake


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_dry_run_and_a_target_of_make(command: str) -> None:
    assert "--dry-run" in run(command, "--help").output
    assert f"\n{command}: " in (ROOT / "Makefile").read_text()


def test_a_dry_run_of_a_backup_writes_nothing(fake: FakeContents, tmp_path: Path) -> None:
    assert run("backup", str(tmp_path / "to"), "--dry-run").exit_code == 0
    assert not (tmp_path / "to").exists()
    assert fake.asked == []


def test_verify_ends_well_only_when_every_copy_has_everything(fake: FakeContents, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.write_text('{"id": 3}\n{"id": 4, "vector": [3, 4, 0, 0]}\n')
    assert run("verify").exit_code == 0
    assert run("verify", "--ledger", str(ledger)).exit_code == 0
    fake.lose("docs", 3, fake.holder("docs", 3))
    for arguments in ((), ("--ledger", str(ledger))):
        failed = run("verify", *arguments)
        assert isinstance(failed.exception, OperatorError)
        assert "missing" in failed.output


def test_a_copy_that_cannot_be_read_is_not_taken_for_verified(fake: FakeContents) -> None:
    fake.collections["docs"].states[0][0] = "Dead"
    with pytest.raises(OperatorError, match="expected every copy to be Active"):
        raise run("verify").exception


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "expected acknowledged points"), ('{"id": 1}\n{"ix": 2}\n', "line 2: expected"), ("[1]\n", "line 1"),
     ('{"id": 1}\n{"id"', "line 2")],
)  # fmt: skip
def test_a_ledger_that_is_none_verifies_nothing(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "ledger").write_text(text)
    with pytest.raises(OperatorError, match=why):
        read_ledger(tmp_path / "ledger")


def test_the_key_of_a_source_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(commands.SOURCE_KEY, "from-environment")
    (tmp_path / "key").write_text("from-file\n")
    assert commands._source_key(None) == "from-environment"
    assert commands._source_key(tmp_path / "key") == "from-file"
    with pytest.raises(OperatorError, match="expected the source's key"):
        commands._source_key(tmp_path / "none")
    assert not {"--key", "--from-key", "--api-key"} & set(run("migrate", "--help").output.split())


def test_only_what_is_given_up_is_let_go() -> None:
    def resource(name: str) -> dict[str, Any]:
        return {"urn": f"urn:pulumi:dev::p::t::{name}", "protect": True, "resourceHooks": {"beforeDelete": ["drain"]}}

    state = SimpleNamespace(deployment={"resources": [resource("qdrant-2"), resource("qdrant-3")]})
    taken: list[Any] = []
    allow_deletion(SimpleNamespace(export_stack=lambda: state, import_stack=taken.append), ["qdrant-3"])  # type: ignore[arg-type]
    kept, gone = taken[0].deployment["resources"]
    assert (kept["protect"], "resourceHooks" in kept) == (True, True)
    assert (gone["protect"], "resourceHooks" in gone) == (False, False)


def test_a_cluster_that_cannot_be_found_is_told_in_plain_words_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    app = typer.Typer()
    app.command()(lambda: kube.core("elsewhere"))
    monkeypatch.setattr("sys.argv", ["cli"])
    with pytest.raises(SystemExit) as ended:
        entry.run(app)
    assert ended.value.code == 1
    assert "expected a kubeconfig with context elsewhere" in capsys.readouterr().err
