"""Where the stack's secrets must not be found."""

import json

import pytest

from ops.paths import STATE
from tests.live.conftest import PREFIX, LiveStack

pytestmark = pytest.mark.live

SECRETS = (
    "qdrantApiKey",
    "qdrantReadOnlyApiKey",
    "balancerPassword",
    "gatewayServiceToken",
    "gatewayJwtSecret",
    "grafanaPassword",
)


def test_the_state_holds_no_secret_in_plain_text(stack: LiveStack) -> None:
    state = "".join(file.read_text() for file in (STATE / "backend").rglob("*test*.json*"))
    assert '"ciphertext"' in state
    assert [key for key in SECRETS if stack.outputs[key] in state] == []


def test_no_container_shows_a_secret_to_who_inspects_it(stack: LiveStack) -> None:
    containers = stack.engine.containers.list(all=True, filters={"label": f"rag-platform={PREFIX}"})
    assert len(containers) >= 11
    shown = json.dumps([container.attrs for container in containers])
    assert [key for key in SECRETS if stack.outputs[key] in shown] == []


def test_no_log_line_says_a_secret(stack: LiveStack) -> None:
    for container in stack.engine.containers.list(all=True, filters={"label": f"rag-platform={PREFIX}"}):
        log = container.logs().decode(errors="replace")
        assert [key for key in SECRETS if stack.outputs[key] in log] == [], container.name
