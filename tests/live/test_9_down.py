"""The last live test: what is left of a purged stack."""

import pytest

from tests.live.conftest import PREFIX, LiveStack

pytestmark = pytest.mark.live


def test_down_with_purge_leaves_nothing_and_needs_no_living_gateway(stack: LiveStack) -> None:
    stack.container("kong-0").kill()
    assert stack.down(purge=True) == []
    engine = stack.engine
    assert engine.containers.list(all=True, filters={"name": f"{PREFIX}-"}) == []
    assert engine.volumes.list(filters={"name": f"{PREFIX}-"}) == []
    assert engine.networks.list(names=[f"^{PREFIX}$"]) == []
