"""Before anything is made: an engine that answers, and every port free or ours; else it is said, by its key."""

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.preflight import check_ports, connect_engine
from ops.stack import OperatorError
from settings import Settings


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program, this one, listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


@pytest.fixture
def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def engine_publishing(**containers: int) -> Any:
    """An engine with one container for each prefix, which publishes a port and has one that it does not publish."""

    def running(*, filters: Mapping[str, str]) -> list[Any]:
        port = containers.get(filters["label"].removeprefix("rag-platform=").replace("-", "_"))
        bindings = {"6333/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}], "6335/tcp": None}
        return [SimpleNamespace(ports=bindings)] if port else []

    return SimpleNamespace(containers=SimpleNamespace(list=running))


def settings_with(monkeypatch: pytest.MonkeyPatch, ports: dict[str, int]) -> Settings:
    monkeypatch.setattr(Settings, "published_ports", lambda _: ports)
    return Settings.from_file(Path("Pulumi.dev.yaml"), {})


def test_a_taken_port_is_named_with_its_key_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, taken: int, free: int
) -> None:
    settings = settings_with(monkeypatch, {"gatewayHttpPort": free, "qdrantNodePort (node 1)": taken})
    with pytest.raises(OperatorError) as refused:
        check_ports(settings, engine_publishing())
    said = str(refused.value)
    assert said.startswith("1 port(s) of 127.0.0.1 are not free:")
    assert f"qdrantNodePort (node 1): port {taken} is taken" in said
    assert said.endswith("or set rag-platform:qdrantNodePort")
    assert "gatewayHttpPort" not in said


def test_all_taken_ports_are_named_at_once(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    with socket.create_server(("0.0.0.0", 0)) as elsewhere:
        ports = {"gatewayHttpPort": taken, "ragIngestPort": int(elsewhere.getsockname()[1])}
        with pytest.raises(OperatorError, match=r"2 port\(s\)(.|\n)*gatewayHttpPort(.|\n)*ragIngestPort"):
            check_ports(settings_with(monkeypatch, ports), engine_publishing())


def test_a_free_port_passes_again_and_again(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    settings = settings_with(monkeypatch, {"gatewayHttpPort": free})
    for _ in range(2):
        check_ports(settings, engine_publishing())


def test_a_port_that_our_own_container_publishes_passes_and_anothers_does_not(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    settings = settings_with(monkeypatch, {"gatewayHttpPort": taken})
    check_ports(settings, engine_publishing(rag_dev=taken))
    with pytest.raises(OperatorError):
        check_ports(settings, engine_publishing(rag_test=taken))


@pytest.mark.parametrize("address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:{free}", "nonsense"])
def test_without_an_engine_one_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, free: int, address: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address.format(free=free))
    with pytest.raises(OperatorError, match=r"^expected a Docker engine, found none that answers; .* run make up$"):
        connect_engine()
