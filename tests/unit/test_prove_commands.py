"""The commands that try promises end as the promises did."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import prove
from proof.report import account


@pytest.mark.parametrize(("kept", "code"), [(True, 0), (False, 1)])
def test_a_broken_promise_ends_a_command_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool, code: int
) -> None:
    monkeypatch.setattr(account, "RUNS", tmp_path)
    monkeypatch.setattr(prove, "_prove", lambda *_: kept)
    for command in ("breaker", "hops"):
        assert CliRunner().invoke(prove.app, [command]).exit_code == code


@pytest.mark.parametrize("broken", ["", "chaos", "measure_capacity"])
def test_one_broken_promise_breaks_the_whole_proof_and_all_of_it_is_run(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    run: list[str] = []

    def outcome(name: str) -> bool:
        run.append(name)
        return name != broken

    for name in ("load", "measure_hops", "try_breaker", "chaos", "roll", "measure_capacity"):
        monkeypatch.setattr(prove, name, lambda *_, name=name, **__: outcome(name))
    assert CliRunner().invoke(prove.app, ["prove"]).exit_code == bool(broken)
    assert run == [*["load"] * 3, "measure_hops", "try_breaker", "chaos", "roll", "measure_capacity"]
