"""How Docker looks at a replica: soon until it is well, then seldom, for each look costs the machine."""

import os
import subprocess
from pathlib import Path

import pytest

from platforms.docker import HEALTH_CHECK, HEALTHY_PAUSE_SECONDS


class Replica:
    """A replica's side of it: its own /dev/shm, and a `sleep` that only writes down how long it was to last."""

    def __init__(self, folder: Path) -> None:
        self._look = HEALTH_CHECK.replace("/dev/shm", str(folder))
        self._slept, sleep = folder / "slept", folder / "sleep"
        sleep.write_text(f'#!/bin/sh\necho "$1" >> {self._slept}\n')
        sleep.chmod(0o755)
        self._env = {"PATH": f"{folder}:{os.environ['PATH']}"}

    def looked_at(self, *probe: str) -> bool:
        return subprocess.run(["sh", "-c", self._look, "look", *probe], check=False, env=self._env).returncode == 0

    @property
    def slept(self) -> list[int]:
        return [int(line) for line in self._slept.read_text().split()] if self._slept.exists() else []


@pytest.fixture
def replica(tmp_path: Path) -> Replica:
    return Replica(tmp_path)


def test_until_it_is_well_it_is_looked_at_without_delay(replica: Replica) -> None:
    assert not replica.looked_at("false")
    assert not replica.looked_at("false")
    assert replica.looked_at("true")
    assert replica.slept == []


def test_once_it_was_well_it_is_looked_at_seldom(replica: Replica) -> None:
    assert all(replica.looked_at("true") for _ in range(3))
    assert replica.slept == [HEALTHY_PAUSE_SECONDS] * 2


def test_after_a_bad_look_the_next_one_comes_soon(replica: Replica) -> None:
    assert [replica.looked_at(probe) for probe in ("true", "false", "false", "true")] == [True, False, False, True]
    assert replica.slept == [HEALTHY_PAUSE_SECONDS]


def test_a_probe_gets_its_arguments_as_they_are(replica: Replica) -> None:
    assert replica.looked_at("test", "two words", "=", "two words")
    assert not replica.looked_at("test", "two words", "=", "$0")
