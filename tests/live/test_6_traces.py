"""One setting traces a running stack: the gateway says the id of a trace, and all who worked on the call tell of it."""

import json
import secrets
from collections.abc import Iterator

import pytest
import requests

from access.polling import poll, require
from components.services.routing import TRACE_HEADER
from tests.live.conftest import LiveStack
from tests.live.listener import Bodies, listening

pytestmark = pytest.mark.live
SERVICES = {"kong", "rag-api", "rag-query"}


@pytest.fixture(scope="module")
def traced(stack: LiveStack) -> Iterator[tuple[LiveStack, Bodies]]:
    """The stack with a collector on this machine; and without one afterwards."""
    with listening(stack) as (url, bodies):
        stack.up(observabilityTracesUrl=url)
        yield stack, bodies
        stack.up(observabilityTracesUrl="")


def ask(stack: LiveStack, **headers: str) -> requests.Response:
    return requests.post(
        f"{stack.outputs['gatewayUrl']}/api/v1/rag/query",
        json={"question": f"How do I delete file {secrets.token_hex(4)}?"},  # no answer that is remembered
        headers={"Authorization": f"Bearer {stack.token()}", **headers},
        timeout=30,
    )


def tellers(trace: str, bodies: Bodies) -> set[str]:
    """Which services have told the collector of this trace: ids and names stand as they are in JSON and protobuf."""
    sent = [body for each in bodies.values() for body in each]
    told = [body for body in sent if trace.encode() in body or bytes.fromhex(trace) in body]
    return {service for service in SERVICES for body in told if service.encode() in body}


def test_without_a_collector_no_answer_names_a_trace(stack: LiveStack) -> None:
    answer = ask(stack)
    assert answer.status_code == 200, answer.text
    assert TRACE_HEADER not in answer.headers


def test_a_question_has_one_trace_through_the_gateway_and_both_roles(traced: tuple[LiveStack, Bodies]) -> None:
    stack, bodies = traced
    answer = ask(stack)
    assert answer.status_code == 200, answer.text
    trace = answer.headers[TRACE_HEADER]
    await_spans(trace, bodies)
    for replica in ("rag-service-0", "rag-llamaindex-query-0"):
        assert trace in traces_in_log(stack, replica), replica
    assert not tellers(secrets.token_hex(16), bodies), "any id at all would have been found"


def test_a_callers_own_trace_is_gone_on_with(traced: tuple[LiveStack, Bodies]) -> None:
    stack, bodies = traced
    trace = secrets.token_hex(16)
    answer = ask(stack, traceparent=f"00-{trace}-{secrets.token_hex(8)}-01")
    assert answer.headers[TRACE_HEADER] == trace
    await_spans(trace, bodies)


def await_spans(trace: str, bodies: Bodies) -> None:
    expected = "spans of it from every service"
    poll(lambda: require((told := tellers(trace, bodies)) == SERVICES, str(told)), 60, expected=expected)


def traces_in_log(stack: LiveStack, replica: str) -> set[str]:
    """The trace ids in a replica's log, of which every line is JSON."""
    lines = stack.container(replica).logs().decode().splitlines()
    return {str(json.loads(line).get("trace_id")) for line in lines}
