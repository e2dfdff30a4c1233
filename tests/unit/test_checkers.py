"""The public checkers of `make check` pass what is right, and each of them fails at a planted mistake."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = """\
name: a
on: push
permissions: {}
concurrency:
  group: a
  cancel-in-progress: true
jobs:
  a:
    name: a
    runs-on: ubuntu-24.04
    permissions: {}
    steps:
      - run: make check
"""


def checked(folder: Path, planted: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What the script of `make check` says of a repository with these files."""
    for name in (".ci/checkers", ".yamllint.yaml", ".shellcheckrc"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for name, text in ({".github/workflows/a.yml": WORKFLOW} | planted).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    subprocess.run(["git", "-C", folder, "add", ".ci", ".github", ".yamllint.yaml", *planted], check=True)
    return subprocess.run([folder / ".ci/checkers"], capture_output=True, text=True, check=False)


def test_what_is_right_passes(tmp_path: Path) -> None:
    done = checked(tmp_path, {"start.sh": "#!/bin/sh\necho a\n"})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (".github/workflows/b.yml", WORKFLOW.replace("permissions: {}\n", "permissions: write-all\n"), "permissions"),
        ("Pulumi.a.yaml", "config:\n  key: 1\n  key: 2\n", "duplication of key"),
        ("start.sh", "#!/bin/bash\nrm -r $1/\n", "SC2086"),
        ("notes.txt", "key: AKIA" + "IOSFODNN7" + "QXAMPLA\n", "AWS Access Key"),
    ],
    ids=["zizmor", "yamllint", "shellcheck", "detect-secrets"],
)
def test_a_mistake_is_found(tmp_path: Path, name: str, text: str, said: str) -> None:
    done = checked(tmp_path, {name: text})
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


def test_pre_commit_runs_the_same() -> None:
    assert "entry: .ci/checkers\n" in (ROOT / ".pre-commit-config.yaml").read_text()
    assert "&& .ci/checkers &&" in (ROOT / "Makefile").read_text()
