"""Seeing the stack: Prometheus with its rules, Grafana with its dashboards, exporters, and Alertmanager if wanted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import pulumi
from pulumi import ResourceOptions
from pydantic import BaseModel, ConfigDict, Field, model_validator

from components.monitoring import alertmanager
from components.monitoring.dashboards import dashboard_files
from components.monitoring.exporters import Exporter, PostgresSource, ValkeySource, postgres_exporter, valkey_exporter
from components.monitoring.grafana import grafana_env, grafana_files
from components.monitoring.prometheus import CONFIG_FILE, QDRANT_KEY_FILE, ScrapeTargets, prometheus_files
from components.monitoring.promises import Promises
from components.monitoring.rules import OF_PROMETHEUS, rule_groups
from platforms.base import Platform, Service
from platforms.monitoring_targets import MonitoringTargets, Scrape
from platforms.policy_inputs import declared
from platforms.workload import Call, HttpProbe, Port, Resources, Workload, port_of

PROMETHEUS, GRAFANA = 9090, 3000
ADMIN_PASSWORD_FILE = "/run/secrets/grafana-admin-password"  # noqa: S105  a path


class ObservabilitySettings(BaseModel):
    """Pace, retention, and where alerts and traces go; defaults stand in Pulumi.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scrape_seconds: int = Field(ge=1, le=60)
    retention_days: int = Field(ge=1)
    storage_gib: int = Field(ge=1)
    prometheus_url: str = Field(pattern=r"^(https?://[^\s@]+[^\s@/])?$", description="of one of yours; empty: our own")
    grafana: bool
    prometheus_port: int = Field(ge=1, le=65535)
    grafana_port: int = Field(ge=1, le=65535)
    alert_webhook: str = Field(pattern=r"^(https?://[^\s@]+)?$", description="without a password: the file is readable")
    alertmanager_port: int = Field(ge=1, le=65535)
    traces_url: str = Field(
        pattern=r"^(https?://[^\s@]+[^\s@/])?$", description="of an OTLP collector, without /v1/traces"
    )

    @model_validator(mode="after")
    def alerts_go_where_rules_are_judged(self) -> Self:
        if self.prometheus_url and self.alert_webhook:
            raise ValueError(
                "expected no observabilityAlertWebhook beside observabilityPrometheusUrl, found both: that Prometheus "
                "sends alerts to its own Alertmanager; set one of them"
            )
        return self


@dataclass(frozen=True, kw_only=True)
class ObservabilityStackArgs:
    """Where it runs, what it is, and what it looks at."""

    platform: Platform
    settings: ObservabilitySettings
    prometheus_image: str
    grafana_image: str
    alertmanager_image: str
    postgres_exporter_image: str
    valkey_exporter_image: str
    targets: ScrapeTargets
    scrapes: tuple[Scrape, ...]  # the same, as wires
    promises: Promises
    qdrant_read_only_api_key: pulumi.Input[str]
    grafana_password: pulumi.Input[str]
    postgres: PostgresSource | None = None  # the gateway's database, where it has one
    valkey: ValkeySource | None = None  # what counts for it, where it has one


class ObservabilityStack(pulumi.ComponentResource):
    """Collects the metrics of every part, judges them by the promises, and shows them, or tells who does that."""

    prometheus: Service | None = None  # none: somebody else's is used
    grafana: Service | None = None

    def __init__(self, name: str, args: ObservabilityStackArgs, opts: ResourceOptions | None = None) -> None:
        wanted = workloads(args)
        super().__init__("rag:components:ObservabilityStack", name, stack_inputs(args.settings, wanted), opts)
        child = ResourceOptions(parent=self)
        run = {name: args.platform.run(name, workload, child) for name, workload in wanted.items()}
        self.prometheus, self.grafana = run.get("prometheus"), run.get("grafana")
        # Empty, too, with one of somebody else's: it may answer inside only, and whether it is well is not ours to say.
        self.prometheus_url = self.prometheus.public_url(PROMETHEUS) if self.prometheus else ""
        self.grafana_url = self.grafana.public_url(GRAFANA) if self.grafana else ""
        args.platform.publish_monitoring(monitoring_targets(args), child)
        self.register_outputs({"prometheus": prometheus_url(args)})


def stack_inputs(settings: ObservabilitySettings, wanted: Mapping[str, Workload]) -> dict[str, Any]:
    """What previews and policies see of it."""
    plain = {name: declared(workload) for name, workload in wanted.items()}
    return {**settings.model_dump(), "workloads": plain}


def workloads(args: ObservabilityStackArgs) -> dict[str, Workload]:
    """Name -> what runs: less where something of somebody else's takes its place."""
    found = {each.name: each.workload for each in exporters(args)}
    if args.settings.alert_webhook:
        found["alertmanager"] = alertmanager_workload(args.alertmanager_image, args.settings)
    if not args.settings.prometheus_url:
        found["prometheus"] = prometheus_workload(args)
    if args.settings.grafana:
        found["grafana"] = grafana_workload(args)
    return found


def exporters(args: ObservabilityStackArgs) -> tuple[Exporter, ...]:
    """One for each part that the stack has and that needs one."""
    found = []
    if args.postgres:
        found.append(postgres_exporter(args.postgres_exporter_image, args.postgres))
    if args.valkey:
        found.append(valkey_exporter(args.valkey_exporter_image, args.valkey))
    return tuple(found)


def scrapes(args: ObservabilityStackArgs) -> tuple[Scrape, ...]:
    """Everything that Prometheus scrapes, but itself."""
    told = [Scrape(job=each.job, call=each.call, keeps=each.keeps) for each in exporters(args)]
    return (*args.scrapes, *told)


def monitoring_targets(args: ObservabilityStackArgs) -> MonitoringTargets:
    """The same scrapes, rules and dashboards, for who watches the platform and knows himself how his Prometheus is."""
    groups = {name: rules for name, rules in rule_groups(args.promises).items() if name != OF_PROMETHEUS}
    return MonitoringTargets(
        scrapes=scrapes(args),
        rules={name: [rule.body() for rule in rules] for name, rules in groups.items()},
        dashboards=dashboard_files(args.promises),
        interval_seconds=args.settings.scrape_seconds,
    )


def prometheus_url(args: ObservabilityStackArgs) -> str:
    """Where Grafana asks."""
    return args.settings.prometheus_url or f"http://prometheus:{PROMETHEUS}"


def prometheus_workload(args: ObservabilityStackArgs) -> Workload:
    """Prometheus with its scrapes and rules as files, and Qdrant's read-only key as a secret one."""
    told: dict[str, Any] = {each.job: (each.call.address,) for each in exporters(args)}
    alerts = [Call(name="alertmanager", port=alertmanager.PORT)] if args.settings.alert_webhook else []
    alerts_to = tuple(call.address for call in alerts)
    return Workload(
        image=args.prometheus_image,
        args=(
            f"--config.file={CONFIG_FILE}",
            "--storage.tsdb.path=/prometheus",
            f"--storage.tsdb.retention.time={args.settings.retention_days}d",
        ),
        ports=(Port(number=PROMETHEUS, published=args.settings.prometheus_port),),
        files=prometheus_files(replace(args.targets, **told), args.promises, alerts_to),
        secret_files={QDRANT_KEY_FILE: args.qdrant_read_only_api_key},
        data_dir="/prometheus",
        data_gib=args.settings.storage_gib,
        calls=(*(scrape.call for scrape in scrapes(args)), *alerts),
        user=65534,
        readiness=HttpProbe(port=PROMETHEUS, path="/-/ready"),
        resources=Resources(memory_mib=512, cpus=0.5),
    )


def grafana_workload(args: ObservabilityStackArgs) -> Workload:
    """Grafana, provisioned from files alone: it has nothing to lose."""
    port, elsewhere = args.settings.grafana_port, args.settings.prometheus_url
    return Workload(
        image=args.grafana_image,
        env=grafana_env(root_url=f"http://localhost:{port}", admin_password_file=ADMIN_PASSWORD_FILE),
        ports=(Port(number=GRAFANA, published=port),),
        files=grafana_files(prometheus_url(args), args.promises),
        secret_files={ADMIN_PASSWORD_FILE: args.grafana_password},
        calls=() if elsewhere else (Call(name="prometheus", port=PROMETHEUS),),
        reaches_out=port_of(elsewhere),
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
        reaches_out=port_of(settings.alert_webhook),
        user=65534,
        readiness=HttpProbe(port=alertmanager.PORT, path="/-/ready"),
        resources=Resources(memory_mib=128, cpus=0.1),
    )
