"""What a stack may choose about its cluster."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from platforms.settings import FrozenSettings

# What describes the edge, and the kinds of edge that use it.
EDGES_THAT_USE = {
    "edge_host": ("ingress", "loadbalancer"),
    "edge_tls_secret": ("ingress", "loadbalancer"),
    "edge_ingress_class": ("ingress",),
    "edge_namespace": ("ingress",),
    "edge_tls_issuer": ("ingress",),
}
NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
OR_EMPTY = rf"^$|{NAME}"


class KubernetesSettings(FrozenSettings):
    """Where in which cluster, and what of it is used; defaults stand in Pulumi.yaml."""

    context: str = Field(description="of the kubeconfig; empty: its current one")
    namespace: str = Field(pattern=OR_EMPTY, description="empty: the name prefix")
    create_namespace: bool
    cluster_domain: str = Field(pattern=r"^[a-z0-9.-]+$")

    storage_class: str = Field(description="empty: the cluster's default")
    work_class: str = Field(description="of disks that go with their pod; empty: as the others")
    spread: Literal["hard", "soft"]
    zone_key: str = Field(description="label of a machine that names its zone; empty: zones do not count")
    cpu_reserved_percent: int = Field(ge=1, le=100)
    priority_classes: bool
    autoscaling: bool

    registry_mirror: str = Field(description="host and path before every image; empty: as named")
    pull_secret: str = Field(pattern=OR_EMPTY)
    secret_name: str = Field(pattern=OR_EMPTY, description="a Secret of the namespace that holds the stack's secrets")

    edge: Literal["none", "ingress", "loadbalancer"]
    edge_host: str
    edge_ingress_class: str
    edge_namespace: str = Field(pattern=OR_EMPTY, description="where the ingress controller runs; empty: anywhere")
    edge_tls_secret: str = Field(pattern=OR_EMPTY)
    edge_tls_issuer: str

    monitoring_operator: bool
    monitoring_labels: dict[str, str]
    monitoring_namespace: str = Field(pattern=OR_EMPTY)

    @model_validator(mode="after")
    def a_prometheus_that_scrapes_is_let_in(self) -> Self:
        if self.monitoring_operator and not self.monitoring_namespace:
            raise ValueError(
                "expected kubernetesMonitoringNamespace beside kubernetesMonitoringOperator, found none: no pod would "
                "let its Prometheus in; name the namespace that it runs in"
            )
        return self

    @model_validator(mode="after")
    def the_edge_is_whole(self) -> Self:
        """All mistakes of the edge at once."""
        found = list(self._edge_mistakes())
        if found:
            raise ValueError("; ".join(found))
        return self

    def _edge_mistakes(self) -> Iterator[str]:
        for field, edges in EDGES_THAT_USE.items():
            if getattr(self, field) and self.edge not in edges:
                advice = "make the certificate's Secret yourself" if field == "edge_tls_issuer" else "leave it out"
                yield (
                    f"expected no {_key(field)} with kubernetesEdge {self.edge}, which does not use it, found "
                    f"{getattr(self, field)!r}; {advice}"
                )
        if self.edge == "ingress" and not self.edge_host:
            yield "expected kubernetesEdgeHost with an ingress, found none; name the host people call"
        if self.edge != "none" and not self.edge_tls_secret:
            more = ", and kubernetesEdgeTlsIssuer when cert-manager is to make it" if self.edge == "ingress" else ""
            yield (
                f"expected kubernetesEdgeTlsSecret with kubernetesEdge {self.edge}, found none: tokens would travel in "
                f"the clear, or clients would get a certificate that they cannot verify; name a TLS Secret{more}"
            )


def _key(field: str) -> str:
    """As a stack file spells the field."""
    return "kubernetes" + "".join(word.title() for word in field.split("_"))
