"""Docker's health check of a replica: soon until a success, then seldom, because each run costs the machine."""

import os
import subprocess
from pathlib import Path

import pytest

from platforms.docker import HEALTH_CHECK, HEALTHY_PAUSE_SECONDS


class Replica:
    """A replica: its own /dev/shm, and a `sleep` that only records how long it was to last."""

    def __init__(self, folder: Path) -> None:
        self._check = HEALTH_CHECK.replace("/dev/shm", str(folder))
        self._slept, sleep = folder / "slept", folder / "sleep"
        sleep.write_text(f'#!/bin/sh\necho "$1" >> {self._slept}\n')
        sleep.chmod(0o755)
        self._env = {"PATH": f"{folder}:{os.environ['PATH']}"}

    def healthy(self, *probe: str) -> bool:
        return subprocess.run(["sh", "-c", self._check, "look", *probe], check=False, env=self._env).returncode == 0

    @property
    def slept(self) -> list[int]:
        return [int(line) for line in self._slept.read_text().split()] if self._slept.exists() else []


@pytest.fixture
def replica(tmp_path: Path) -> Replica:
    return Replica(tmp_path)


def test_until_a_success_the_health_check_runs_without_delay(replica: Replica) -> None:
    assert not replica.healthy("false")
    assert not replica.healthy("false")
    assert replica.healthy("true")
    assert replica.slept == []


def test_after_a_success_the_health_check_waits(replica: Replica) -> None:
    assert all(replica.healthy("true") for _ in range(3))
    assert replica.slept == [HEALTHY_PAUSE_SECONDS] * 2


def test_after_a_failure_the_next_health_check_runs_soon(replica: Replica) -> None:
    assert [replica.healthy(probe) for probe in ("true", "false", "false", "true")] == [True, False, False, True]
    assert replica.slept == [HEALTHY_PAUSE_SECONDS]


def test_a_probe_gets_its_arguments_as_they_are(replica: Replica) -> None:
    assert replica.healthy("test", "two words", "=", "two words")
    assert not replica.healthy("test", "two words", "=", "$0")
