"""The scripts of the workflows: results become annotations, empty secrets are left out, one issue has one title."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.parts import Parts, load_parts
from ops.review.plan import Change, Plan
from ops.review.run import refuse_changes
from ops.stack import OperatorError

ROOT = Path(__file__).resolve().parents[2]
CASES = """<testsuites><testsuite>
<testcase file="tests/a.py" line="11" name="test_right"/>
<testcase file="tests/a.py" line="21" name="test_wrong[a:b]"><failure message="expected 1&#10;found 100%"/></testcase>
<testcase file="tests/a.py" line="31" name="test_left_out"><skipped message="no engine"/></testcase>
</testsuite></testsuites>"""


# Lists one open issue or none, and logs what else it is told, with the file that comes last.
FAKE_GH = """#!/bin/sh
[ "$2" = list ] && echo {open_issue} && exit
for last; do :; done
{{ echo "$@"; cat "$last"; }} >> log
"""


def results(folder: Path, *names: str, parts: list[dict[str, str]] | None = None) -> tuple[int, str, str]:
    """Exit code, what is printed, and the summary."""
    (folder / ".ci").mkdir()
    (folder / ".state").mkdir()
    script = folder / ".ci/results.py"
    script.write_text((ROOT / ".ci/results.py").read_text())
    if parts is not None:
        (folder / ".state/parts.json").write_text(json.dumps({"parts": parts}))
    summary = folder / "summary.md"
    done = subprocess.run(
        [sys.executable, script, *names],
        cwd=folder,
        env={"GITHUB_STEP_SUMMARY": str(summary)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, summary.read_text()


def test_a_failure_is_shown_at_its_line_and_the_summary_counts(tmp_path: Path) -> None:
    (tmp_path / "results.xml").write_text(CASES)
    part = {"part": "kong", "kind": "stand-in", "used": "sandbox/kong:1", "note": ""}
    code, printed, summary = results(tmp_path, "results.xml", parts=[part, {**part, "part": "qdrant", "kind": "real"}])
    assert code == 0  # the step that ran the tests has failed already
    assert printed == "::error file=tests/a.py,line=22,title=test_wrong[a%3Ab]::expected 1%0Afound 100%25\n"
    assert "1 passed, 1 failed, 1 skipped" in summary
    assert "1 of 2 parts are stand-ins." in summary
    assert "| kong | stand-in | `sandbox/kong:1` |" in summary


def test_a_run_of_no_test_is_none_that_passed(tmp_path: Path) -> None:
    code, printed, summary = results(tmp_path, "results.xml")
    assert (code, printed) == (1, "")
    assert "0 passed" in summary
    assert "Parts" not in summary


def with_state(**variables: str) -> str:
    """The environment that a command gets."""
    env = {"PATH": os.environ["PATH"], **variables}
    shown = ("bash", "-c", 'env; [ -z "${KUBECONFIG:-}" ] || cat "$KUBECONFIG"')
    return subprocess.run([ROOT / ".ci/with_state", *shown], env=env, capture_output=True, text=True, check=True).stdout


def test_empty_secrets_are_left_out_and_the_kubeconfig_is_a_file() -> None:
    empty = with_state(PULUMI_BACKEND_URL="", PULUMI_CONFIG_PASSPHRASE="", KUBECONFIG_TEXT="")
    assert not {"PULUMI", "KUBECONFIG"} & {line.partition("_")[0].partition("=")[0] for line in empty.splitlines()}
    given = with_state(PULUMI_BACKEND_URL="s3://state", KUBECONFIG_TEXT="clusters: []")
    assert "PULUMI_BACKEND_URL=s3://state\n" in given
    assert given.endswith("clusters: []")
    assert "KUBECONFIG_TEXT" not in given
    [path] = [line.partition("=")[2] for line in given.splitlines() if line.startswith("KUBECONFIG=")]
    assert not Path(path).exists()  # gone with the command


def test_a_command_s_failure_is_kept() -> None:
    assert subprocess.run([ROOT / ".ci/with_state", "false"], check=False).returncode == 1


@pytest.mark.parametrize(("open_issue", "said"), [("", "issue create --title Broken"), ("7", "issue comment 7")])
def test_one_title_is_one_issue(tmp_path: Path, open_issue: str, said: str) -> None:
    gh = tmp_path / "gh"
    gh.write_text(FAKE_GH.format(open_issue=open_issue))
    gh.chmod(0o755)
    (tmp_path / "plan.md").write_text("the plan\n")
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_SERVER_URL": "https://github.example"}
    env |= {"GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "9"}
    subprocess.run([ROOT / ".ci/issue", "Broken", "plan.md", "none.md"], cwd=tmp_path, env=env, check=True)
    log = (tmp_path / "log").read_text()
    assert log.startswith(said)
    assert "https://github.example/a/b/actions/runs/9" in log
    assert "the plan" in log
    assert "(no none.md: see the run)" in log


def test_a_difference_is_named_and_no_difference_passes() -> None:
    refuse_changes("prod", Plan(unchanged=3))
    change = Change(kind="change", type="kong:index/route:Route", name="route")
    with pytest.raises(
        OperatorError, match=r"stack prod .* found 1 difference\(s\): change route; .* STACK=prod REFRESH"
    ):
        refuse_changes("prod", Plan(changes=[change]))


def test_as_is_takes_the_stack_file_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / "parts.json"
    written.write_text(json.dumps({"env": {}, "config": {"imageKong": "sandbox/kong:1"}, "parts": []}))
    monkeypatch.setattr("ops.parts.PARTS", written)
    monkeypatch.delenv("AS_IS", raising=False)
    assert load_parts().config
    monkeypatch.setenv("AS_IS", "1")
    assert load_parts() == Parts()
