"""The engine that is started where there is none."""

from pathlib import Path

import pytest

from sandbox import cgroups, docker_engine


def test_the_engine_competes_with_its_containers_as_one_of_them() -> None:
    pid = docker_engine.own_pid()
    if not pid:
        pytest.skip("this machine has an engine of its own")
    groups = {line.split(":", 2)[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()}
    assert groups == {f"/{docker_engine.CGROUP}/engine"}


def test_a_cgroup_is_made_in_every_hierarchy_and_removed_when_empty() -> None:
    try:
        made = cgroups.make("rag-platform-test", "leaf")
    except PermissionError:
        pytest.skip("only root makes cgroups")
    try:
        assert made
        assert all((group / "cgroup.procs").exists() for group in made)
    finally:
        assert cgroups.clear("rag-platform-test")
    assert not any(group.parent.exists() for group in made)
