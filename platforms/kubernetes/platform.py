"""Which objects a workload needs on Kubernetes, and in which order they are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import ResourceOptions

from platforms.base import Rollout, Service
from platforms.kubernetes import controllers, edge, files, monitors, network, pods, services, spread, storage
from platforms.kubernetes.cluster import Cluster, Manifest, keeps_data
from platforms.kubernetes.objects import Maker
from platforms.kubernetes.rolling import Rolling
from platforms.kubernetes.scaling import autoscaler, scales
from platforms.kubernetes.settings import KubernetesSettings
from platforms.monitoring_targets import MonitoringTargets, Scrape
from platforms.workload import Workload
from providers.job_once import JobOnce


@dataclass(frozen=True, kw_only=True)
class KubernetesArgs:
    """`prefix` names the namespace unless the settings do; `protect_data` makes `destroy` refuse to drop disks."""

    prefix: str
    settings: KubernetesSettings
    protect_data: bool = True


class KubernetesPlatform(pulumi.ComponentResource):
    """Runs workloads in one namespace of a cluster, which lets in, and lets out, only what is declared."""

    def __init__(self, args: KubernetesArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("rag:platforms:Kubernetes", "kubernetes", {"prefix": args.prefix}, opts)
        self._args = args
        self._cluster = Cluster(prefix=args.prefix, settings=args.settings)
        own = ResourceOptions(parent=self)
        self._provider = kubernetes.Provider("cluster", context=args.settings.context or None, opts=own)
        self._maker = Maker(self._provider)
        self._maker.before = self._namespace(own)
        self._ground = self._laid_ground(own)
        self.register_outputs({"namespace": self._cluster.namespace})

    @property
    def certificate_dir(self) -> str:
        """Behind a load balancer the workload does the TLS itself, with the certificate that the stack file names."""
        return edge.certificate_dir(self._cluster)

    def locate(self, name: str, workload: Workload) -> Service:
        """By its Service in the namespace; from here through the cluster's API."""
        return services.KubernetesService(
            name=name,
            replicas=workload.replicas,
            published={port.number: port.published for port in workload.ports if port.published},
            public=frozenset(port.number for port in workload.ports if port.public),
            cluster=self._cluster,
            with_data=keeps_data(workload),
        )

    def run(self, name: str, workload: Workload, opts: ResourceOptions, rollout: Rollout | None = None) -> Service:
        """A StatefulSet where there is data, else a Deployment, with all that goes before and behind it."""
        claims = self._claims(name, workload, opts)
        founding = self._founding(name, workload, after(ResourceOptions(parent=opts.parent), claims[:1]))
        template = pods.template(name, workload, self._cluster, self._pod_parts(name, workload, opts))
        self._names(name, workload, opts)
        controller = self._controller(
            name, workload, template, after(opts, [*self._ground, *claims]), gated=rollout is not None
        )
        ready: Sequence[pulumi.Resource] = [controller, *founding]
        if rollout:
            ready = Rolling(name, workload, self._cluster, template).gates(rollout, after(opts, ready))
        self._surroundings(name, workload, after(opts, [controller]))
        return replace(self.locate(name, workload), ready=ready, data=claims)

    def run_once(self, name: str, workload: Workload, opts: ResourceOptions) -> pulumi.Resource:
        """A Job that is named by what it runs: something else is another Job."""
        template = pods.template(name, workload, self._cluster, self._pod_parts(name, workload, opts))
        called = f"{name}-{files.digest([workload.image, workload.command, workload.args, dict(workload.env)])}"
        manifest = controllers.job(called, name, workload, template, self._cluster)
        return self._maker.make("Job", name, manifest, after(opts, self._ground))

    def publish_monitoring(self, monitoring_targets: MonitoringTargets, opts: ResourceOptions) -> None:
        """To the Prometheus of a namespace that is named, and to the operator where the stack file says there is one.

        The door opens for a Prometheus without an operator too, which has to be told by hand what is behind it.
        """
        for scrape in monitoring_targets.scrapes if self._args.settings.monitoring_namespace else ():
            door = network.from_watchers(scrape.call, self._cluster)
            self._maker.make("NetworkPolicy", door["metadata"]["name"], door, opts)
        if not self._args.settings.monitoring_operator:
            return
        for scrape in monitoring_targets.scrapes:
            self._monitor(scrape, monitoring_targets.interval_seconds, opts)
        self._maker.make("PrometheusRule", "rules", monitors.rules(monitoring_targets, self._cluster), opts)
        for name, content in monitoring_targets.dashboards.items():
            self._maker.make("ConfigMap", f"dashboard-{name}", monitors.dashboard(name, content, self._cluster), opts)

    def _monitor(self, scrape: Scrape, interval_seconds: int, opts: ResourceOptions) -> None:
        if scrape.bearer is not None:
            secret = monitors.bearer_secret(scrape, self._cluster)
            self._maker.make("Secret", f"{scrape.job}-scrape-token", secret, opts)
        monitor = monitors.service_monitor(scrape, interval_seconds, self._cluster)
        self._maker.make("ServiceMonitor", scrape.job, monitor, opts)

    def given_secrets(self) -> pulumi.Output[Mapping[str, str]] | None:
        """What stands in the Secret that the stack file names, however it came there."""
        name = self._args.settings.secret_name
        if not name:
            return None
        own = ResourceOptions(parent=self, provider=self._provider)
        found = kubernetes.core.v1.Secret.get("given-secrets", f"{self._cluster.namespace}/{name}", own)
        return pulumi.Output.secret(found.data.apply(files.decoded))

    def _namespace(self, opts: ResourceOptions) -> list[pulumi.Resource]:
        if not self._args.settings.create_namespace:
            return []
        return [self._maker.make("Namespace", self._cluster.namespace, namespace(self._cluster), opts)]

    def _laid_ground(self, opts: ResourceOptions) -> list[pulumi.Resource]:
        """What is there before any pod: ranks, and nobody who may call anybody."""
        ranks = spread.PRIORITIES if self._args.settings.priority_classes else ()
        policies = (network.deny_all(self._cluster), network.names(self._cluster))
        return [
            *(
                self._maker.make("PriorityClass", rank, spread.priority_class(rank, self._cluster), opts)
                for rank in ranks
            ),
            *(self._maker.make("NetworkPolicy", policy["metadata"]["name"], policy, opts) for policy in policies),
        ]

    def _pod_parts(self, name: str, workload: Workload, opts: ResourceOptions) -> Mapping[str, pulumi.Input[str]]:
        """What a pod cannot start without: its account, its files, and the wires to those it calls."""
        account = {"metadata": self._cluster.metadata(name, name), "automountServiceAccountToken": False}
        self._maker.make("ServiceAccount", name, account, opts)
        policies = network.calls_of(name, workload, self._cluster)
        for policy in [*policies, *network.from_outside(name, workload, self._cluster)]:
            self._maker.make("NetworkPolicy", policy["metadata"]["name"], policy, opts)
        names: dict[str, pulumi.Input[str]] = {}
        if workload.files:
            manifest = files.config_map(name, workload.files, self._cluster)
            self._maker.make("ConfigMap", f"{name}-files", manifest, opts)
            names["files"] = manifest["metadata"]["name"]
        if workload.secret_files:
            manifest = files.secret(name, workload.secret_files, self._cluster)
            self._maker.make("Secret", f"{name}-secret-files", manifest, opts)
            names["secret-files"] = manifest["metadata"]["name"]
        return names

    def _names(self, name: str, workload: Workload, opts: ResourceOptions) -> None:
        """A Service is there before the pods that look for each other through it."""
        for service in (services.front, services.all_replicas):
            manifest = service(name, workload, self._cluster)
            self._maker.make("Service", manifest["metadata"]["name"], manifest, opts)

    def _claims(self, name: str, workload: Workload, opts: ResourceOptions) -> list[pulumi.Resource]:
        """The disks, protected; they depend on nothing that runs, so that all else can be destroyed and they stay."""
        if not keeps_data(workload):
            return []
        alone = ResourceOptions(parent=opts.parent)
        return [
            self._maker.make(
                "PersistentVolumeClaim",
                storage.claim_name(name, ordinal),
                storage.claim(name, ordinal, workload, self._cluster),
                alone,
                protect=self._args.protect_data,
            )
            for ordinal in range(workload.replicas)
        ]

    def _founding(self, name: str, workload: Workload, opts: ResourceOptions) -> list[pulumi.Resource]:
        """Runs beside the first start of replica 0, which waits for it. It may not depend on the controller: it stays
        in the state when all that runs is taken down."""
        if not workload.founding_file:
            return []
        manifest = storage.founding_job(name, workload, self._cluster)
        context = self._args.settings.context
        kept = ResourceOptions(parent=opts.parent, depends_on=opts.depends_on, protect=self._args.protect_data)
        return [
            JobOnce(
                f"{name}-founding",
                context=context,
                manifest=manifest,
                follows=storage.replica_name(name, 0),
                timeout_seconds=workload.start_seconds + 60,
                opts=kept,
            )
        ]

    def _controller(
        self, name: str, workload: Workload, template: Manifest, opts: ResourceOptions, *, gated: bool
    ) -> pulumi.Resource:
        if keeps_data(workload):
            manifest = controllers.stateful_set(name, workload, self._cluster, template, gated=gated)
            return self._maker.make("StatefulSet", name, manifest, opts)
        manifest = controllers.deployment(name, workload, self._cluster, template)
        ignored = ["spec.replicas"] if scales(workload, self._cluster) else None  # the autoscaler's to say
        return self._maker.make("Deployment", name, manifest, opts, ignore_changes=ignored)

    def _surroundings(self, name: str, workload: Workload, opts: ResourceOptions) -> None:
        """What looks after a workload that runs, and what leads to it from outside."""
        cluster = self._cluster
        if workload.replicas > 1:
            budget = spread.disruption_budget(name, workload, cluster)
            self._maker.make("PodDisruptionBudget", name, budget, opts)
        if scales(workload, cluster):
            self._maker.make("HorizontalPodAutoscaler", name, autoscaler(name, workload, cluster), opts)
        if public := edge.public_ports(workload, cluster):
            if cluster.settings.edge == "ingress":
                self._maker.make("Ingress", name, edge.ingress(name, public[0], cluster), opts)
            else:
                self._maker.make("Service", f"{name}-edge", edge.load_balancer(name, public, cluster), opts)


def after(opts: ResourceOptions, resources: Sequence[pulumi.Resource]) -> ResourceOptions:
    """The same options, and these resources first."""
    return ResourceOptions.merge(opts, ResourceOptions(depends_on=list(resources)))


def namespace(cluster: Cluster) -> Manifest:
    """Where the cluster itself refuses a pod that is not restricted."""
    level = "pod-security.kubernetes.io"
    labels = {f"{level}/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {"metadata": {"name": cluster.namespace, "labels": labels | cluster.labels()}}
