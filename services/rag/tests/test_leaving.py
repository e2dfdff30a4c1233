"""On SIGTERM health checks fail at once, requests are served for the leaving time, then the process stops."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import uvicorn
from network import TOKEN
from rag.app import create_app
from rag.leaving import LeavingServer
from rag.service import Service

LEAVING_SECONDS = 1.0


class Running:
    """A role that listens on a port of this machine."""

    def __init__(self, made: Service, seconds: float) -> None:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        front = create_app(made)
        self.server = LeavingServer(uvicorn.Config(front, log_config=None), front, seconds)
        self.thread = threading.Thread(target=self.server.run, args=([listening],))
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def terminate(self) -> None:
        self.server.handle_exit(signal.SIGTERM, None)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, headers={"X-Service-Token": TOKEN}, trust_env=False)


@pytest.fixture
def start(assemble: Callable[..., Service]) -> Iterator[Callable[[float], Running]]:
    running: list[Running] = []

    def started(seconds: float) -> Running:
        running.append(Running(assemble(role="api"), seconds))
        return running[-1]

    yield started
    for each in running:
        each.server.should_exit = True
        each.thread.join()


def test_health_fails_while_requests_are_still_served(start: Callable[[float], Running]) -> None:
    role = start(LEAVING_SECONDS)
    assert role.get("/health").status_code == 200
    role.terminate()
    assert role.get("/health").status_code == 503
    still = role.get("/metrics")
    assert (still.status_code, still.headers["Connection"]) == (200, "close")


def test_it_stops_when_the_time_is_over(start: Callable[[float], Running]) -> None:
    role = start(LEAVING_SECONDS)
    began = time.monotonic()
    role.terminate()
    role.thread.join(LEAVING_SECONDS + 10)
    assert not role.thread.is_alive()
    assert time.monotonic() - began >= LEAVING_SECONDS


def test_a_second_signal_is_not_made_to_wait(start: Callable[[float], Running]) -> None:
    role = start(60)
    role.terminate()
    role.terminate()
    role.thread.join(10)
    assert not role.thread.is_alive()


def test_without_time_to_leave_it_stops_at_once(start: Callable[[float], Running]) -> None:
    role = start(0)
    role.terminate()
    role.thread.join(10)
    assert not role.thread.is_alive()


def test_connections_are_kept_alive_before_a_signal(start: Callable[[float], Running]) -> None:
    assert "Connection" not in start(LEAVING_SECONDS).get("/metrics").headers
