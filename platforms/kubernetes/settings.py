"""What a stack may choose about its cluster."""

from typing import Literal, Self

from pydantic import Field, model_validator

from platforms.settings import FrozenSettings

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
    def an_ingress_has_a_host_and_a_certificate(self) -> Self:
        if self.edge == "ingress" and not self.edge_host:
            raise ValueError("expected kubernetesEdgeHost with an ingress, found none; name the host people call")
        if self.edge_tls_issuer and not self.edge_tls_secret:
            raise ValueError(
                "expected kubernetesEdgeTlsSecret beside kubernetesEdgeTlsIssuer, found none; name the Secret that "
                "cert-manager is to keep the certificate in"
            )
        if self.edge == "ingress" and not self.edge_tls_secret:
            raise ValueError(
                "expected kubernetesEdgeTlsSecret with an ingress, found none: tokens would travel in the clear; name "
                "a TLS Secret, and kubernetesEdgeTlsIssuer when cert-manager is to make it"
            )
        return self
