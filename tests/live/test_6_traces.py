"""One setting traces a running stack: the gateway says the id of a trace, and all who worked on the call tell of it."""

import json
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import requests

from access.polling import poll, require
from components.services.routing import TRACE_HEADER
from tests.live.conftest import LiveStack

pytestmark = pytest.mark.live
SERVICES = {"kong", "rag-api", "rag-query"}


class Collector(BaseHTTPRequestHandler):
    """Keeps what it is sent as it came, JSON or protobuf: ids and names stand in both as they are."""

    bodies: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the tests' own output is for the tests."""


@pytest.fixture(scope="module")
def traced(stack: LiveStack) -> Iterator[LiveStack]:
    """The stack with a collector on this machine, reached by the bridge's own address; and without one afterwards."""
    [network] = stack.engine.networks.get(stack.prefix).attrs["IPAM"]["Config"]
    with ThreadingHTTPServer((network["Gateway"], 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.up(observabilityTracesUrl=f"http://{network['Gateway']}:{server.server_port}")
        yield stack
        stack.up(observabilityTracesUrl="")
        server.shutdown()


def ask(stack: LiveStack, **headers: str) -> requests.Response:
    return requests.post(
        f"{stack.outputs['gatewayUrl']}/api/v1/rag/query",
        json={"question": f"How do I delete file {secrets.token_hex(4)}?"},  # no answer that is remembered
        headers={"Authorization": f"Bearer {stack.token()}", **headers},
        timeout=30,
    )


def tellers(trace: str) -> set[str]:
    """Which services have told the collector of this trace."""
    told = [body for body in Collector.bodies if trace.encode() in body or bytes.fromhex(trace) in body]
    return {service for service in SERVICES for body in told if service.encode() in body}


def test_without_a_collector_no_answer_names_a_trace(stack: LiveStack) -> None:
    answer = ask(stack)
    assert answer.status_code == 200, answer.text
    assert TRACE_HEADER not in answer.headers


def test_a_question_has_one_trace_through_the_gateway_and_both_roles(traced: LiveStack) -> None:
    answer = ask(traced)
    assert answer.status_code == 200, answer.text
    trace = answer.headers[TRACE_HEADER]
    await_spans(trace)
    for replica in ("rag-service-0", "rag-llamaindex-query-0"):
        assert trace in traces_in_log(traced, replica), replica
    assert not tellers(secrets.token_hex(16)), "any id at all would have been found"


def test_a_callers_own_trace_is_gone_on_with(traced: LiveStack) -> None:
    trace = secrets.token_hex(16)
    answer = ask(traced, traceparent=f"00-{trace}-{secrets.token_hex(8)}-01")
    assert answer.headers[TRACE_HEADER] == trace
    await_spans(trace)


def await_spans(trace: str) -> None:
    expected = "spans of it from every service"
    poll(lambda: require(tellers(trace) == SERVICES, str(tellers(trace))), 60, expected=expected)


def traces_in_log(stack: LiveStack, replica: str) -> set[str]:
    """The trace ids in a replica's log, of which every line is JSON."""
    lines = stack.container(replica).logs().decode().splitlines()
    return {str(json.loads(line).get("trace_id")) for line in lines}
