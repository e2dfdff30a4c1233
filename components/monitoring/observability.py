"""Observability: Prometheus with its rules, Grafana with its dashboards, exporters, and Alertmanager if wanted."""

from dataclasses import dataclass
from typing import Self

import pulumi
from pulumi import ResourceOptions
from pydantic import Field, model_validator

from components.monitoring import alertmanager, prometheus
from components.monitoring.dashboards import dashboard_files
from components.monitoring.exporters import Exporter
from components.monitoring.grafana import grafana_env, grafana_files
from components.monitoring.promises import Promises
from components.monitoring.rules import OF_PROMETHEUS, rule_groups
from platforms.base import Platform, Service
from platforms.monitoring_targets import MonitoringTargets, ScrapeJob
from platforms.policy_inputs import policy_inputs
from platforms.settings import FrozenSettings, PortNumber
from platforms.workload import AllowedConnection, HttpProbe, Port, Resources, Workload, port_of

GRAFANA = 3000
ADMIN_PASSWORD_FILE = "/run/secrets/grafana-admin-password"  # noqa: S105  a path


class ObservabilitySettings(FrozenSettings):
    """Pace, retention, and where alerts and traces go; defaults stand in Pulumi.yaml."""

    scrape_seconds: int = Field(ge=1, le=60)
    retention_days: int = Field(ge=1)
    storage_gib: int = Field(ge=1)
    prometheus_url: str = Field(pattern=r"^(https?://[^\s@]+[^\s@/])?$", description="of one of yours; empty: our own")
    grafana: bool
    prometheus_port: PortNumber
    grafana_port: PortNumber
    alert_webhook: str = Field(pattern=r"^(https?://[^\s@]+)?$", description="its path may be a credential")
    alert_watchdog_url: str = Field(pattern=r"^(https?://[^\s@]+)?$", description="of a dead man's switch")
    alertmanager_port: PortNumber
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
        if self.alert_watchdog_url and not self.alert_webhook:
            raise ValueError(
                "expected observabilityAlertWebhook beside observabilityAlertWatchdogUrl, found none: without it no "
                "Alertmanager runs; set it too"
            )
        return self


@dataclass(frozen=True, kw_only=True)
class ObservabilityStackArgs:
    """Where it runs, what it is, and what it scrapes."""

    platform: Platform
    settings: ObservabilitySettings
    prometheus_image: str
    grafana_image: str
    alertmanager_image: str
    exporters: tuple[Exporter, ...]
    scrape_jobs: tuple[ScrapeJob, ...]  # without those of the exporters, and of Prometheus itself
    promises: Promises
    grafana_password: pulumi.Input[str]


class ObservabilityStack(pulumi.ComponentResource):
    """Collects the metrics of every part, judges them by the promises, and shows them; or publishes how to."""

    prometheus: Service | None = None  # none: the stack file names another
    grafana: Service | None = None

    def __init__(self, name: str, args: ObservabilityStackArgs, opts: ResourceOptions | None = None) -> None:
        wanted = workloads(args)
        inputs = policy_inputs(args.settings, wanted) | without_credentials(args.settings)
        super().__init__("rag:components:ObservabilityStack", name, inputs, opts)
        child = ResourceOptions(parent=self)
        run = {name: args.platform.run(name, workload, child) for name, workload in wanted.items()}
        self.prometheus, self.grafana = run.get("prometheus"), run.get("grafana")
        # Empty for one that is named, too: it may answer in the cluster only, and its health is not the stack's.
        self.prometheus_url = self.prometheus.public_url(prometheus.PORT) if self.prometheus else ""
        self.grafana_url = self.grafana.public_url(GRAFANA) if self.grafana else ""
        args.platform.publish_monitoring(monitoring_targets(args), child)
        self.register_outputs({"prometheus": prometheus_url(args)})


def without_credentials(settings: ObservabilitySettings) -> dict[str, str]:
    """Whether each URL that may be a credential is set, in its place: a component's inputs stand in plain state."""
    urls = {"alert_webhook": settings.alert_webhook, "alert_watchdog_url": settings.alert_watchdog_url}
    return {key: "set" if url else "" for key, url in urls.items()}


def workloads(args: ObservabilityStackArgs) -> dict[str, Workload]:
    """Name -> what runs: without a Prometheus or a Grafana where the stack file names another."""
    found = {each.name: each.workload for each in args.exporters}
    if args.settings.alert_webhook:
        found["alertmanager"] = alertmanager_workload(args.alertmanager_image, args.settings)
    if not args.settings.prometheus_url:
        found["prometheus"] = prometheus_workload(args)
    if args.settings.grafana:
        found["grafana"] = grafana_workload(args)
    return found


def scrape_jobs(args: ObservabilityStackArgs) -> tuple[ScrapeJob, ...]:
    """All that Prometheus scrapes, but itself."""
    return (*args.scrape_jobs, *(each.job for each in args.exporters))


def monitoring_targets(args: ObservabilityStackArgs) -> MonitoringTargets:
    """The same jobs, rules and dashboards for the platform's monitoring, without the rules about our own Prometheus."""
    groups = {name: rules for name, rules in rule_groups(args.promises).items() if name != OF_PROMETHEUS}
    return MonitoringTargets(
        scrape_jobs=scrape_jobs(args),
        rules={name: [rule.body() for rule in rules] for name, rules in groups.items()},
        dashboards=dashboard_files(args.promises),
        interval_seconds=args.settings.scrape_seconds,
    )


def prometheus_url(args: ObservabilityStackArgs) -> str:
    """The datasource of Grafana."""
    return args.settings.prometheus_url or f"http://prometheus:{prometheus.PORT}"


def prometheus_workload(args: ObservabilityStackArgs) -> Workload:
    """Prometheus with its jobs and rules as files, and the tokens of its jobs as secret ones."""
    jobs = (*args.scrape_jobs, prometheus.ITSELF, *(each.job for each in args.exporters))
    alerts = [AllowedConnection(name="alertmanager", port=alertmanager.PORT)] if args.settings.alert_webhook else []
    return Workload(
        image=args.prometheus_image,
        args=(
            f"--config.file={prometheus.CONFIG_FILE}",
            "--storage.tsdb.path=/prometheus",
            f"--storage.tsdb.retention.time={args.settings.retention_days}d",
        ),
        ports=(Port(number=prometheus.PORT, published=args.settings.prometheus_port),),
        files=prometheus.prometheus_files(jobs, args.promises, [each.address for each in alerts]),
        secret_files=prometheus.token_files(jobs),
        data_dir="/prometheus",
        data_gib=args.settings.storage_gib,
        connects_to=(*(job.target for job in scrape_jobs(args) if not job.outside), *alerts),
        reaches_out=prometheus.outside_ports(jobs),
        user=65534,
        readiness=HttpProbe(port=prometheus.PORT, path="/-/ready"),
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
        connects_to=() if elsewhere else (prometheus.ITSELF.target,),
        reaches_out=port_of(elsewhere),
        scratch_dirs=("/var/lib/grafana", "/var/log/grafana", "/tmp"),  # noqa: S108  the container's own
        readiness=HttpProbe(port=GRAFANA, path="/api/health"),
        liveness=HttpProbe(port=GRAFANA, path="/api/health"),
        user=472,
        resources=Resources(memory_mib=512),
    )


def alertmanager_workload(image: str, settings: ObservabilitySettings) -> Workload:
    """Alertmanager; it forms no cluster, and its silences are lost with it.

    It keeps no data on purpose: a volume is protected, and what a setting turns on a setting must turn off again.
    """
    config = alertmanager.alertmanager_config(webhook=settings.alert_webhook, watchdog_url=settings.alert_watchdog_url)
    ports = {*port_of(settings.alert_webhook), *port_of(settings.alert_watchdog_url)}
    return Workload(
        image=image,
        args=(f"--config.file={alertmanager.CONFIG_FILE}", "--storage.path=/alertmanager", "--cluster.listen-address="),
        ports=(Port(number=alertmanager.PORT, published=settings.alertmanager_port),),
        secret_files={alertmanager.CONFIG_FILE: pulumi.Output.secret(config)},
        reaches_out=tuple(sorted(ports)),
        user=65534,
        readiness=HttpProbe(port=alertmanager.PORT, path="/-/ready"),
        liveness=HttpProbe(port=alertmanager.PORT, path="/-/healthy"),
        resources=Resources(memory_mib=128, cpus=0.1),
    )
