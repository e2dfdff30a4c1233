"""Observability: Prometheus with its rules, Grafana with its dashboards, exporters, and Alertmanager if wanted."""

from dataclasses import dataclass

import pulumi
from pulumi import ResourceOptions

from components.monitoring import alertmanager, prometheus
from components.monitoring.dashboards import dashboard_files
from components.monitoring.exporters import Exporter
from components.monitoring.grafana import grafana_env, grafana_files
from components.monitoring.promises import Promises
from components.monitoring.rules import OF_PROMETHEUS, rule_groups
from components.monitoring.settings import CREDENTIALS, ObservabilitySettings
from platforms.base import Platform, Service
from platforms.monitoring_targets import MonitoringTargets, ScrapeJob
from platforms.policy_inputs import policy_inputs
from platforms.workload import AllowedConnection, HttpProbe, Port, Resources, Workload, port_of

GRAFANA = 3000
ADMIN_PASSWORD_FILE = "/run/secrets/grafana-admin-password"  # noqa: S105  a path


@dataclass(frozen=True, kw_only=True)
class ObservabilityStackArgs:
    """Where it runs, what it is, and what it scrapes."""

    platform: Platform
    settings: ObservabilitySettings
    prometheus_image: str
    grafana_image: str
    alertmanager_image: str
    exporters: tuple[Exporter, ...]
    scrape_jobs: tuple[ScrapeJob, ...]  # without those of exporters, disks, and of Prometheus itself
    disks: tuple[Service, ...]  # what keeps data
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
    """Whether each credential is set, in its place: a component's inputs stand in plain state."""
    return {name: "true" if getattr(settings, name) else "" for name in CREDENTIALS}


def workloads(args: ObservabilityStackArgs) -> dict[str, Workload]:
    """Name -> what runs: without a Prometheus or a Grafana where the stack file names another."""
    found = {each.name: each.workload for each in args.exporters}
    if args.settings.sends_alerts:
        found["alertmanager"] = alertmanager_workload(args.alertmanager_image, args.settings)
    if not args.settings.prometheus_url:
        found["prometheus"] = prometheus_workload(args)
    if args.settings.grafana:
        found["grafana"] = grafana_workload(args)
    return found


def scrape_jobs(args: ObservabilityStackArgs) -> tuple[ScrapeJob, ...]:
    """All that Prometheus scrapes, but itself."""
    own = () if args.settings.prometheus_url else (args.platform.locate("prometheus", Workload(image="")),)
    disks = args.platform.disk_jobs((*args.disks, *own))
    return (*args.scrape_jobs, *(each.job for each in args.exporters), *disks)


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
    scraped = scrape_jobs(args)
    jobs = (*scraped, prometheus.ITSELF)
    alerts = [AllowedConnection(name="alertmanager", port=alertmanager.PORT)] if args.settings.sends_alerts else []
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
        connects_to=(*(job.target for job in scraped if not job.outside), *alerts),
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
    config = alertmanager.alertmanager_config(settings)
    return Workload(
        image=image,
        args=(f"--config.file={alertmanager.CONFIG_FILE}", "--storage.path=/alertmanager", "--cluster.listen-address="),
        ports=(Port(number=alertmanager.PORT, published=settings.alertmanager_port),),
        secret_files={alertmanager.CONFIG_FILE: pulumi.Output.secret(config)},
        reaches_out=alertmanager.ports(settings),
        user=65534,
        readiness=HttpProbe(port=alertmanager.PORT, path="/-/ready"),
        liveness=HttpProbe(port=alertmanager.PORT, path="/-/healthy"),
        resources=Resources(memory_mib=128, cpus=0.1),
    )
