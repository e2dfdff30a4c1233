"""What a stack may choose about its Qdrant cluster."""

from pydantic import Field, field_validator

from platforms.settings import FrozenSettings, PortNumber
from policies.invariants import keeps_a_majority


class QdrantSettings(FrozenSettings):
    """Size and time-outs of the cluster; defaults stand in Pulumi.yaml."""

    nodes: int = Field(le=99)
    balancers: int = Field(ge=1)
    storage_gib: int = Field(ge=1)
    snapshot_gib: int = Field(ge=1)
    start_seconds: int = Field(ge=30)
    memory_mib: int = Field(ge=256)
    cpus: int = Field(ge=1)
    log_level: str = Field(pattern="^(TRACE|DEBUG|INFO|WARN|ERROR)$")
    query_timeout_ms: int = Field(ge=50, le=60000)
    settle_seconds: int = Field(ge=10)
    http_port: PortNumber
    grpc_port: PortNumber
    statistics_port: PortNumber
    node_port: int = Field(ge=1, le=65000)

    @field_validator("nodes")
    @classmethod
    def has_a_majority(cls, nodes: int) -> int:
        if not keeps_a_majority(nodes):
            raise ValueError(
                f"expected an odd number of nodes, 3 or more, so that losing one leaves a majority; found {nodes}"
            )
        return nodes
