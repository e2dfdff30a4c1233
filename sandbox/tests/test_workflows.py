"""The workflows are right before GitHub reads them: actions are pinned, and no code of a fork may write."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.tests import actionlint

WORKFLOWS = sorted((Path(__file__).resolve().parents[2] / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$")


def jobs(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)["jobs"]
    return found


def complaints(path: Path) -> str:
    done = subprocess.run([actionlint.provide(), "-no-color", str(path)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def unpinned(text: str) -> list[str]:
    uses = [step["uses"] for job in jobs(text).values() for step in job["steps"] if "uses" in step]
    return [action for action in uses if not PINNED.match(action)]


def writers_that_run_the_pull_request(text: str) -> list[str]:
    """Jobs that may write and check out, or run, what the pull request brings."""
    may_write = {n: job for n, job in jobs(text).items() if "write" in job.get("permissions", {}).values()}
    return [n for n, job in may_write.items() if any("checkout" in step.get("uses", "") for step in job["steps"])]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_right(path: Path) -> None:
    text = path.read_text()
    assert complaints(path) == ""
    assert unpinned(text) == []
    assert writers_that_run_the_pull_request(text) == []
    assert yaml.safe_load(text)["permissions"] == {}  # each job asks for its own
    assert "pull_request_target" not in yaml.safe_load(text)[True]


def test_there_are_workflows() -> None:
    assert "preview.yml" in {path.name for path in WORKFLOWS}


def test_a_mistake_would_be_seen(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "runs_on:"))
    assert "runs_on" in complaints(wrong)


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("@08c6903cd8c0fde910a37f88322edcfb5dd907a8", "@v5", unpinned),
        ("    steps:\n      - uses: actions/download",
         "    steps:\n      - uses: a/checkout@v1\n      - uses: actions/download",
         writers_that_run_the_pull_request),
    ],
)  # fmt: skip
def test_a_careless_workflow_would_be_seen(before: str, after: str, check: Any) -> None:
    [preview] = [path for path in WORKFLOWS if path.name == "preview.yml"]
    assert check(preview.read_text().replace(before, after))


def secrets_outside_an_environment(text: str) -> list[str]:
    """Jobs that read secrets without an environment, whose reviewers would approve first."""
    return [n for n, job in jobs(text).items() if "secrets." in str(job) and "environment" not in job]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_secrets_are_read_only_in_an_environment(path: Path) -> None:
    text = path.read_text()
    assert secrets_outside_an_environment(text) == []
    if "secrets." in text:
        assert secrets_outside_an_environment(text.replace("    environment:", "    # environment:"))
