"""Seeing the stack: Prometheus with its rules, Grafana with its dashboards, exporters, and Alertmanager if wanted."""

from dataclasses import dataclass, replace
from typing import Any

import pulumi
from pulumi import ResourceOptions
from pydantic import BaseModel, ConfigDict, Field

from components.monitoring import alertmanager
from components.monitoring.exporters import POSTGRES_EXPORTER, PostgresSource, postgres_exporter_workload
from components.monitoring.grafana import grafana_env, grafana_files
from components.monitoring.prometheus import CONFIG_FILE, QDRANT_KEY_FILE, ScrapeTargets, prometheus_files
from components.monitoring.promises import Promises
from platforms.base import Platform, Service
from platforms.declared import declared
from platforms.workload import Call, HttpProbe, Port, Resources, Workload

PROMETHEUS, GRAFANA = 9090, 3000
ADMIN_PASSWORD_FILE = "/run/secrets/grafana-admin-password"  # noqa: S105  a path


class ObservabilitySettings(BaseModel):
    """Pace, retention, and where alerts and traces go; defaults stand in Pulumi.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scrape_seconds: int = Field(ge=1, le=60)
    retention_days: int = Field(ge=1)
    storage_gib: int = Field(ge=1)
    prometheus_port: int = Field(ge=1, le=65535)
    grafana_port: int = Field(ge=1, le=65535)
    alert_webhook: str = Field(pattern=r"^(https?://[^\s@]+)?$", description="without a password: the file is readable")
    alertmanager_port: int = Field(ge=1, le=65535)
    traces_url: str = Field(
        pattern=r"^(https?://[^\s@]+[^\s@/])?$", description="of an OTLP collector, without /v1/traces"
    )


@dataclass(frozen=True, kw_only=True)
class ObservabilityStackArgs:
    """Where it runs, what it is, and what it looks at."""

    platform: Platform
    settings: ObservabilitySettings
    prometheus_image: str
    grafana_image: str
    alertmanager_image: str
    postgres_exporter_image: str
    targets: ScrapeTargets
    calls: tuple[Call, ...]  # the wires to them
    promises: Promises
    qdrant_read_only_api_key: pulumi.Input[str]
    grafana_password: pulumi.Input[str]
    postgres: PostgresSource | None = None  # the gateway's database, where it has one


class ObservabilityStack(pulumi.ComponentResource):
    """Collects the metrics of every part, judges them by the promises, and shows them."""

    def __init__(self, name: str, args: ObservabilityStackArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("rag:components:ObservabilityStack", name, stack_inputs(args), opts)
        child = ResourceOptions(parent=self)
        postgres, alertmanagers = self._postgres(args, child), self._alertmanager(args, child)
        workload = prometheus_workload(args, postgres=postgres, alertmanagers=alertmanagers)
        self.prometheus = args.platform.run("prometheus", workload, child)
        self.grafana = args.platform.run("grafana", grafana_workload(args, self.prometheus), child)
        self.register_outputs({"prometheus": self.prometheus.url(PROMETHEUS)})

    def _postgres(self, args: ObservabilityStackArgs, opts: ResourceOptions) -> Service | None:
        if args.postgres is None:
            return None
        workload = postgres_exporter_workload(args.postgres_exporter_image, args.postgres)
        return args.platform.run("postgres-exporter", workload, opts)

    def _alertmanager(self, args: ObservabilityStackArgs, opts: ResourceOptions) -> Service | None:
        if not args.settings.alert_webhook:
            return None
        return args.platform.run("alertmanager", alertmanager_workload(args.alertmanager_image, args.settings), opts)


def stack_inputs(args: ObservabilityStackArgs) -> dict[str, Any]:
    """What previews and policies see of it."""
    prometheus = prometheus_workload(args)
    workloads = {
        "prometheus": prometheus,
        "grafana": grafana_workload(args, args.platform.locate("prometheus", prometheus)),
    }
    if args.postgres:
        workloads["postgres-exporter"] = postgres_exporter_workload(args.postgres_exporter_image, args.postgres)
    if args.settings.alert_webhook:
        workloads["alertmanager"] = alertmanager_workload(args.alertmanager_image, args.settings)
    plain = {name: declared(workload) for name, workload in workloads.items()}
    return {**args.settings.model_dump(), "workloads": plain}


def prometheus_workload(
    args: ObservabilityStackArgs, *, postgres: Service | None = None, alertmanagers: Service | None = None
) -> Workload:
    """Prometheus with its scrapes and rules as files, and Qdrant's read-only key as a secret one."""
    exporters = (postgres.address(POSTGRES_EXPORTER),) if postgres else ()
    alerts_to = (alertmanagers.address(alertmanager.PORT),) if alertmanagers else ()
    calls = [postgres.call(POSTGRES_EXPORTER)] if postgres else []
    calls += [alertmanagers.call(alertmanager.PORT)] if alertmanagers else []
    return Workload(
        image=args.prometheus_image,
        args=(
            f"--config.file={CONFIG_FILE}",
            "--storage.tsdb.path=/prometheus",
            f"--storage.tsdb.retention.time={args.settings.retention_days}d",
        ),
        ports=(Port(number=PROMETHEUS, published=args.settings.prometheus_port),),
        files=prometheus_files(replace(args.targets, postgres=exporters), args.promises, alerts_to),
        secret_files={QDRANT_KEY_FILE: args.qdrant_read_only_api_key},
        data_dir="/prometheus",
        data_gib=args.settings.storage_gib,
        calls=(*args.calls, *calls),
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


def alertmanager_workload(image: str, settings: ObservabilitySettings) -> Workload:
    """Alertmanager; it looks for no others of its kind, and its silences go with it.

    It keeps no data on purpose: a volume is protected, and what a setting turns on a setting must turn off again.
    """
    return Workload(
        image=image,
        args=(
            f"--config.file={alertmanager.CONFIG_FILE}",
            "--storage.path=/alertmanager",
            "--cluster.listen-address=",
        ),
        ports=(Port(number=alertmanager.PORT, published=settings.alertmanager_port),),
        files={alertmanager.CONFIG_FILE: alertmanager.alertmanager_config(webhook=settings.alert_webhook)},
        user=65534,
        readiness=HttpProbe(port=alertmanager.PORT, path="/-/ready"),
        resources=Resources(memory_mib=128),
    )
