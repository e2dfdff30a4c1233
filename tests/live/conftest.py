"""The live stack: dev's settings under other names and ports, so that nobody's own stack is touched."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import docker
import pytest
from rich.console import Console

from ops import gateway, lifecycle
from ops.deployment import Progress
from ops.ingest import IngestClient
from ops.parts import load_parts
from ops.preflight import connect_engine
from ops.stack import OperatorError, StackFiles, open_stack, outputs, use_parts
from tests.live.hammer import Hammer

# Two checkouts of one machine test beside each other when one of them sets RAG_TEST_SLOT=1 (or 2, …).
SLOT = int(os.environ.get("RAG_TEST_SLOT", "0"))
PREFIX = f"rag-test{SLOT or ''}"
FIRST_PORTS = {
    "qdrantHttpPort": 26333,
    "qdrantGrpcPort": 26334,
    "qdrantStatisticsPort": 28404,
    "qdrantNodePort": 26343,
    "gatewayHttpPort": 28000,
    "gatewayHttpsPort": 28443,
    "gatewayAdminPort": 28001,
    "observabilityPrometheusPort": 29090,
    "observabilityGrafanaPort": 23001,
    "observabilityAlertmanagerPort": 29093,
    "ragIngestPort": 28201,
}
PORTS = {key: port + 1000 * SLOT for key, port in FIRST_PORTS.items()}


@dataclass
class LiveStack:
    """A running stack, and what its first `up` looked like from outside."""

    files: StackFiles
    console: Console
    hammered: dict[str, int] = field(default_factory=dict)

    def up(self, refresh: bool = False, **changed: str) -> tuple[Progress, float]:
        """`up` with changed settings; what it did, and how many seconds it took."""
        self.files = self.files.with_config(**changed)
        began = time.monotonic()
        return lifecycle.bring_up(self.files, self.console, refresh=refresh), time.monotonic() - began

    def down(self, *, purge: bool) -> list[str]:
        return lifecycle.take_down(self.files, self.console, purge=purge)

    @cached_property
    def outputs(self) -> dict[str, Any]:
        return outputs(open_stack(self.files))

    @cached_property
    def engine(self) -> docker.DockerClient:
        return connect_engine()

    def container(self, name: str) -> Any:
        return self.engine.containers.get(f"{PREFIX}-{name}")

    def token(self, valid_seconds: int = 600) -> str:
        return gateway.mint_token(self.outputs["gatewayJwtKey"], self.outputs["gatewayJwtSecret"], valid_seconds)

    def ingest(self) -> IngestClient:
        return IngestClient(self.outputs["ingestUrl"], self.outputs["gatewayServiceToken"])


@pytest.fixture(scope="session")
def stack() -> Iterator[LiveStack]:
    """Up before the first live test, hammered without a token meanwhile; gone after the last."""
    live = live_stack()
    try:
        connect_engine()
    except OperatorError as error:
        if os.environ.get("CI"):
            pytest.fail(f"the live tests must run here: {error}")
        pytest.skip(str(error))
    live.down(purge=True)  # whatever an earlier run left
    with Hammer(f"http://127.0.0.1:{PORTS['gatewayHttpPort']}/api/v1/rag/search") as hammer:
        live.up()
        hammer.seen_at_least("401", 50)
    live.hammered = hammer.answers
    yield live
    live.down(purge=True)


def live_stack() -> LiveStack:
    """The stack of the live tests, as yet only described."""
    parts = load_parts()
    use_parts(parts)
    ports = {key: str(port) for key, port in PORTS.items()}
    files = StackFiles(name="test", source="dev", parts=parts).with_config(namePrefix=PREFIX, **ports)
    return LiveStack(files=files, console=Console(stderr=True, highlight=False, width=150))
