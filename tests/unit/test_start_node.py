"""The start script never founds a second cluster: run for real, with a stub in place of the node's binary."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from access.polling import poll, require

SCRIPT = Path("components/qdrant/start_node.sh").read_text()


@pytest.fixture
def peer_address() -> Iterator[str]:
    """A living peer named localhost-1: something listens."""
    with socket.create_server(("127.0.0.1", 0)) as peer:
        yield f"127.0.0.1/{peer.getsockname()[1]}"


def start(folder: Path, hostname: str, peers: str = "127.0.0.1/1") -> subprocess.CompletedProcess[str]:
    """Run the script in `folder`, without patience; every peer's p2p address becomes `peers`, for want of names."""
    return subprocess.run(**command(folder, hostname, peers), capture_output=True, text=True, check=False)


def command(folder: Path, hostname: str, peers: str = "127.0.0.1/1", timeout_seconds: int = 0) -> dict[str, Any]:
    """What `subprocess` is called with."""
    (folder / "storage").mkdir(exist_ok=True)
    node = folder / "qdrant"
    node.write_text('#!/bin/sh\necho "started $@"\n')
    node.chmod(0o755)
    script = SCRIPT.replace("cd /qdrant", f"cd {folder}").replace("/dev/tcp/$name-$peer/6335", f"/dev/tcp/{peers}")
    return {
        "args": ["bash", "-c", script, "start_node.sh", "3", str(timeout_seconds)],
        "env": {"HOSTNAME": hostname, "PATH": "/usr/bin:/bin"},
    }


def test_a_member_starts_as_what_it_is(tmp_path: Path, peer_address: str) -> None:
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "raft_state.json").write_text('{"state":{"hard_state":{"term":1}}}')
    assert start(tmp_path, "qdrant-0", peer_address).stdout == "started --uri http://qdrant-0:6335\n"


def test_a_node_without_state_joins_a_living_peer(tmp_path: Path, peer_address: str) -> None:
    started = start(tmp_path, "qdrant-2", peer_address).stdout
    assert started == "started --uri http://qdrant-2:6335 --bootstrap http://qdrant-0:6335\n"


def test_the_first_node_with_permission_founds_when_no_peer_answers(tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "may-found").touch()
    assert start(tmp_path, "qdrant-0").stdout == "started --uri http://qdrant-0:6335\n"


def test_permission_does_not_found_where_a_peer_lives(tmp_path: Path, peer_address: str) -> None:
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "may-found").touch()
    assert "--bootstrap http://qdrant-1:6335" in start(tmp_path, "qdrant-0", peer_address).stdout


@pytest.mark.parametrize("hostname", ["qdrant-0", "qdrant-1"])
def test_a_wiped_node_that_finds_no_peer_ends_with_advice(tmp_path: Path, hostname: str) -> None:
    ended = start(tmp_path, hostname)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "may not found" in ended.stderr


def test_permission_that_comes_while_the_first_node_starts_is_found(tmp_path: Path) -> None:
    with waiting(tmp_path, "qdrant-0") as node:
        (tmp_path / "storage" / "may-found").touch()
        assert node.communicate(timeout=30)[0] == "started --uri http://qdrant-0:6335\n"


def test_a_peer_that_comes_while_a_node_starts_is_joined(tmp_path: Path) -> None:
    with socket.socket() as peer:
        peer.bind(("127.0.0.1", 0))
        with waiting(tmp_path, "qdrant-1", f"127.0.0.1/{peer.getsockname()[1]}") as node:
            peer.listen()
            assert "--bootstrap http://qdrant-0:6335" in node.communicate(timeout=30)[0]


def test_a_node_that_may_do_neither_does_not_look_for_ever(tmp_path: Path) -> None:
    node = subprocess.Popen(**command(tmp_path, "qdrant-1", timeout_seconds=1), stderr=subprocess.PIPE, text=True)
    assert "may not found" in node.communicate(timeout=30)[1]
    assert node.returncode == 1


@contextmanager
def waiting(folder: Path, hostname: str, peers: str = "127.0.0.1/1") -> Iterator[subprocess.Popen[str]]:
    """A node that has looked at least once, found nothing, and goes on."""
    looked = folder / "looked"
    told = command(folder, hostname, peers, timeout_seconds=30)
    sleeping = told["args"][2].replace("sleep 0.5", f"touch {looked}; sleep 0.5")
    assert sleeping != told["args"][2]
    told["args"][2] = sleeping
    with subprocess.Popen(**told, stdout=subprocess.PIPE, text=True) as node:
        try:
            poll(lambda: require(looked.exists(), "none"), 30, expected="its first attempt", interval_seconds=0.1)
            yield node
        finally:
            node.kill()


def test_permission_is_used_up_by_the_first_start_that_finds_state(tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage" / "may-found").touch()
    (tmp_path / "storage" / "raft_state.json").write_text('{"state":{"hard_state":{"term":1}}}')
    start(tmp_path, "qdrant-0")
    assert not (tmp_path / "storage" / "may-found").exists()
