"""A port of a pod on this machine: bytes go both ways, and a pod that cannot be reached is a connection that breaks."""

import socket
from pathlib import Path
from threading import Thread

import pytest
import requests

from access.kubernetes import replicas, tunnel
from access.kubernetes.tunnel import local


def test_a_plain_address_is_returned_unchanged() -> None:
    assert local("http://127.0.0.1:6333") == "http://127.0.0.1:6333"
    assert replicas.every("http://127.0.0.1:8404") == ["http://127.0.0.1:8404"]


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every pod of every cluster is a server of this process that answers with `pod here`; the ports asked for."""
    asked: list[str] = []

    def connect(target: tunnel.Target) -> socket.socket:
        asked.append(f"{target._context}|{target._namespace}|{target._name}|{target._port}")
        near, far = socket.socketpair()
        Thread(target=_answer, args=(far,), daemon=True).start()
        return near

    monkeypatch.setattr(tunnel.Target, "connect", connect)
    return asked


def _answer(end: socket.socket) -> None:
    end.recv(65536)
    end.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\npod here")
    end.close()


def test_a_pod_answers_on_this_machine(pod: list[str]) -> None:
    url = "kube://arn%3Aaws%3Aeks%2Fone/rag-prod/qdrant-0:6333"
    assert requests.get(f"{local(url)}/cluster", timeout=60).text == "pod here"
    assert requests.get(f"{local(url)}/cluster", timeout=60).text == "pod here"
    assert pod == ["arn:aws:eks/one|rag-prod|qdrant-0|6333"] * 2
    assert local(url) == local(url)


def test_a_pod_that_cannot_be_reached_breaks_the_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(requests.ConnectionError):
        requests.get(local("kube:///rag-prod/qdrant-9:6333"), timeout=60)


def test_every_running_replica_of_a_workload_is_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "running_pods", lambda *_: ["haproxy-a", "haproxy-b"])
    assert replicas.every("kube:///rag-prod/haproxy:8404") == [
        "kube:///rag-prod/haproxy-a:8404",
        "kube:///rag-prod/haproxy-b:8404",
    ]
