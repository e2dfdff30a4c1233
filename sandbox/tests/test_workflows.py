"""The workflows are right before GitHub reads them: actions are pinned, no code of a fork may write, commands exist."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.tests.go_checkers import ACTIONLINT, provide

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$")


def jobs(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)["jobs"]
    return found


def complaints(path: Path) -> str:
    done = subprocess.run([provide(ACTIONLINT), "-no-color", str(path)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def unpinned(text: str) -> list[str]:
    uses = [step["uses"] for job in jobs(text).values() for step in job["steps"] if "uses" in step]
    return [action for action in uses if not PINNED.match(action)]


def writers_that_run_the_pull_request(text: str) -> list[str]:
    """Jobs that may write and check out, or run, what the pull request brings."""
    if "pull_request" not in yaml.safe_load(text)[True]:
        return []  # what runs is the main branch's
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
    assert {path.stem for path in WORKFLOWS} >= {"ci", "deploy", "drift", "nightly", "preview"}


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


WITH_STATE = ".ci/with_state"
PLAIN = ("sudo sysctl", 'cat "$MARKDOWN"')  # what is no target and no script of ours


def commands(text: str) -> list[tuple[str, dict[str, str]]]:
    """Each line that a job runs on a checkout, with the variables that are written for it."""
    found = []
    for job in jobs(text).values():
        if any("checkout" in step.get("uses", "") for step in job["steps"]):
            for step in (step for step in job["steps"] if "run" in step):
                variables = {**job.get("env", {}), **step.get("env", {})}
                found += [(line, variables) for line in str(step["run"]).splitlines()]
    return found


def that_would_not_start(text: str) -> list[str]:
    """Lines that are neither a target of make that accepts their variables, nor a script of ours."""
    wrong = []
    for line, variables in commands(text):
        words = shlex.split(line.removeprefix(f"{WITH_STATE} "))
        if words[0] == "make":
            dry = ["make", "--dry-run", "--old-file=.venv/ready", *words[1:]]
            env = {"PATH": os.environ["PATH"]} | {name: str(value) for name, value in variables.items()}
            wrong += (
                [line] if subprocess.run(dry, cwd=ROOT, env=env, capture_output=True, check=False).returncode else []
            )
        elif words[0].startswith(".ci/"):
            wrong += [] if os.access(ROOT / words[0], os.X_OK) else [line]
        elif not line.startswith(PLAIN):
            wrong.append(line)
    return wrong


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_command_is_one_that_runs_here(path: Path) -> None:
    text = path.read_text()
    assert commands(text)
    assert that_would_not_start(text) == []


@pytest.mark.parametrize("line", ["make tset", "make ingest", ".ci/nothing", "python -m pytest", ".ci/with_state make"])
def test_a_command_that_would_not_start_is_seen(line: str) -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text().replace("run: make check", f"run: {line}", 1)
    assert that_would_not_start(text) == ([] if line.endswith(" make") else [line])


def unknown_experiments(text: str) -> set[str]:
    """Names after ONLY= that no experiment has."""
    sources = "".join(path.read_text() for path in (ROOT / "proof/experiments").glob("*.py"))
    named = {name for names in re.findall(r"ONLY=(\S+)", text) for name in names.split(",")}
    return named - set(re.findall(r'Experiment\("([^"]+)"', sources))


def test_every_experiment_exists() -> None:
    text = (ROOT / ".github/workflows/nightly.yml").read_text()
    assert unknown_experiments(text) == set()
    assert unknown_experiments(text.replace("kill-leader", "kill-king")) == {"kill-king"}


def without_end(text: str) -> list[str]:
    """Jobs that could hang for GitHub's six hours."""
    return [name for name, job in jobs(text).items() if "timeout-minutes" not in job]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_job_ends(path: Path) -> None:
    text = path.read_text()
    assert without_end(text) == []
    assert without_end(text.replace("timeout-minutes", "minutes"))


def engines_that_take_stand_ins(text: str) -> list[str]:
    """Jobs that test on engines and would pass with a stand-in."""
    engines = re.compile(r"make (up|test|test-k8s|load|chaos|roll)\b(?!-)")
    return [
        name
        for name, job in jobs(text).items()
        if any(engines.search(str(step.get("run"))) for step in job["steps"])
        and not {"REQUIRE_REAL", "AS_IS"} & set(job.get("env", {}))
    ]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_stand_in_fails_a_run_on_engines(path: Path) -> None:
    assert engines_that_take_stand_ins(path.read_text()) == []


def test_a_run_that_takes_stand_ins_would_be_seen() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    assert engines_that_take_stand_ins(text.replace("REQUIRE_REAL:", "ANYTHING:")) == ["real"]


def test_nothing_but_a_merge_is_deployed() -> None:
    text = (ROOT / ".github/workflows/deploy.yml").read_text()
    assert yaml.safe_load(text)[True] == {"push": {"branches": ["main"]}}
    deploying = {name: job for name, job in jobs(text).items() if "make up" in str(job)}
    assert {name: (job["needs"], job["environment"]) for name, job in deploying.items()} == {
        "dev": ("preview", "dev"),
        "prod": ("dev", "prod"),
    }
    assert "ALLOW_DATA_LOSS" not in text


def test_drift_is_looked_for_and_repaired_by_nobody() -> None:
    text = (ROOT / ".github/workflows/drift.yml").read_text()
    assert {line for line, _ in commands(text) if "make" in line} == {".ci/with_state make preview"}
    assert all({"REFRESH", "UNCHANGED"} <= set(variables) for line, variables in commands(text) if "make" in line)
