"""Seeing the stack: Prometheus with its rules, and Grafana with its dashboards."""

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi import ResourceOptions
from pydantic import BaseModel, ConfigDict, Field

from components.monitoring.grafana import grafana_env, grafana_files
from components.monitoring.prometheus import CONFIG_FILE, QDRANT_KEY_FILE, ScrapeTargets, prometheus_files
from components.monitoring.promises import Promises
from platforms.base import Platform, Service
from platforms.declared import declared
from platforms.workload import Call, HttpProbe, Port, Resources, Workload

PROMETHEUS, GRAFANA = 9090, 3000
ADMIN_PASSWORD_FILE = "/run/secrets/grafana-admin-password"  # noqa: S105  a path


class ObservabilitySettings(BaseModel):
    """Ports and retention; defaults stand in Pulumi.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    retention_days: int = Field(ge=1)
    storage_gib: int = Field(ge=1)
    prometheus_port: int = Field(ge=1, le=65535)
    grafana_port: int = Field(ge=1, le=65535)


@dataclass(frozen=True, kw_only=True)
class ObservabilityStackArgs:
    """Where it runs, what it is, and what it looks at."""

    platform: Platform
    settings: ObservabilitySettings
    prometheus_image: str
    grafana_image: str
    targets: ScrapeTargets
    calls: tuple[Call, ...]  # the wires to them
    promises: Promises
    qdrant_read_only_api_key: pulumi.Input[str]
    grafana_password: pulumi.Input[str]


class ObservabilityStack(pulumi.ComponentResource):
    """Collects the metrics of every part, judges them by the promises, and shows them."""

    def __init__(self, name: str, args: ObservabilityStackArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("rag:components:ObservabilityStack", name, stack_inputs(args), opts)
        child = ResourceOptions(parent=self)
        self.prometheus = args.platform.run("prometheus", prometheus_workload(args), child)
        self.grafana = args.platform.run("grafana", grafana_workload(args, self.prometheus), child)
        self.register_outputs({"prometheus": self.prometheus.url(PROMETHEUS)})


def stack_inputs(args: ObservabilityStackArgs) -> dict[str, Any]:
    """What previews and policies see of it."""
    prometheus = prometheus_workload(args)
    grafana = grafana_workload(args, args.platform.locate("prometheus", prometheus))
    workloads = {"prometheus": declared(prometheus), "grafana": declared(grafana)}
    return {**args.settings.model_dump(), "workloads": workloads}


def prometheus_workload(args: ObservabilityStackArgs) -> Workload:
    """Prometheus with its scrapes and rules as files, and Qdrant's read-only key as a secret one."""
    return Workload(
        image=args.prometheus_image,
        args=(
            f"--config.file={CONFIG_FILE}",
            "--storage.tsdb.path=/prometheus",
            f"--storage.tsdb.retention.time={args.settings.retention_days}d",
        ),
        ports=(Port(number=PROMETHEUS, published=args.settings.prometheus_port),),
        files=prometheus_files(args.targets, args.promises),
        secret_files={QDRANT_KEY_FILE: args.qdrant_read_only_api_key},
        data_dir="/prometheus",
        data_gib=args.settings.storage_gib,
        calls=args.calls,
        user=65534,
        readiness=HttpProbe(port=PROMETHEUS, path="/-/ready"),
        resources=Resources(memory_mib=512),
    )


def grafana_workload(args: ObservabilityStackArgs, prometheus: Service) -> Workload:
    """Grafana, provisioned from files alone: it has nothing to lose."""
    port = args.settings.grafana_port
    return Workload(
        image=args.grafana_image,
        env=grafana_env(root_url=f"http://localhost:{port}", admin_password_file=ADMIN_PASSWORD_FILE),
        ports=(Port(number=GRAFANA, published=port),),
        files=grafana_files(prometheus.url(PROMETHEUS), args.promises),
        secret_files={ADMIN_PASSWORD_FILE: args.grafana_password},
        calls=(prometheus.call(PROMETHEUS),),
        scratch_dirs=("/var/lib/grafana", "/var/log/grafana", "/tmp"),  # noqa: S108  the container's own
        readiness=HttpProbe(port=GRAFANA, path="/api/health"),
        user=472,
        resources=Resources(memory_mib=512),
    )
