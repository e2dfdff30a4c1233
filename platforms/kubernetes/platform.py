"""Which objects a workload needs on Kubernetes, and in which order they are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random
from pulumi import ResourceOptions

from platforms import disks
from platforms.base import Edge, Rollout, Service, after
from platforms.kubernetes import controllers, edge, files, monitors, network, pods, services, spread, storage
from platforms.kubernetes.cluster import Cluster, Manifest, keeps_data
from platforms.kubernetes.objects import Maker
from platforms.kubernetes.rolling import rolled
from platforms.kubernetes.scaling import autoscaler, scales
from platforms.kubernetes.settings import KubernetesSettings
from platforms.monitoring_targets import MonitoringTargets, ScrapeJob
from platforms.workload import Workload
from providers.job_once import JobOnce


@dataclass(frozen=True, kw_only=True)
class KubernetesArgs:
    """`prefix` names the namespace unless the settings do; `protect_data` makes `destroy` refuse to drop disks."""

    prefix: str
    settings: KubernetesSettings
    disk_exporter_image: str
    protect_data: bool = True


class KubernetesPlatform(pulumi.ComponentResource):
    """Runs workloads in one namespace of a cluster; only the connections that they declare are allowed."""

    def __init__(self, args: KubernetesArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("rag:platforms:Kubernetes", "kubernetes", {"prefix": args.prefix}, opts)
        self._args = args
        self._cluster = Cluster(
            prefix=args.prefix, settings=args.settings, disk_exporter_image=args.disk_exporter_image
        )
        own = ResourceOptions(parent=self)
        self._provider = kubernetes.Provider("cluster", context=args.settings.context or None, opts=own)
        self._maker = Maker(self._provider)
        self._naming_key = self._made_naming_key(own)
        self._maker.before = self._namespace(own)
        self._baseline = self._namespace_baseline(own)
        self.register_outputs({"namespace": self._cluster.namespace})

    @property
    def certificate_dir(self) -> str:
        """Behind a load balancer the workload does the TLS itself, with the certificate that the stack file names."""
        return edge.certificate_dir(self._cluster)

    def edge(self, service: Service, https_port: int) -> Edge | None:
        """An Ingress serves it at its host; behind a load balancer the service does, at its own port."""
        settings = self._args.settings
        if settings.edge == "none":
            return None
        if settings.edge == "ingress":
            return Edge(address=f"{settings.edge_host}:{edge.HTTPS}", host=settings.edge_host, outside=True)
        return Edge(address=service.address(https_port), host=settings.edge_host, outside=False)

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
        workload = pods.with_measured_disks(workload)
        claims = self._claims(name, workload, opts)
        founding = self._founding(name, workload, after(ResourceOptions(parent=opts.parent), claims[:1]))
        template = pods.template(name, workload, self._cluster, self._pod_parts(name, workload, opts))
        self._names(name, workload, opts)
        controller = self._controller(
            name, workload, template, after(opts, [*self._baseline, *claims]), gated=rollout is not None
        )
        ready: Sequence[pulumi.Resource] = [controller, *founding]
        if rollout:
            ready = rolled(name, workload, self._cluster, template, rollout=rollout, opts=after(opts, ready))
        self._surroundings(name, workload, after(opts, [controller]))
        return replace(self.locate(name, workload), ready=ready, data=claims)

    def run_once(self, name: str, workload: Workload, opts: ResourceOptions) -> pulumi.Resource:
        """A Job that is named by what it runs: something else is another Job."""
        template = pods.template(name, workload, self._cluster, self._pod_parts(name, workload, opts))
        called = f"{name}-{files.digest([workload.image, workload.command, workload.args, dict(workload.env)])}"
        manifest = controllers.job(called, name, workload, template, self._cluster)
        return self._maker.make("Job", name, manifest, after(opts, self._baseline))

    def disk_jobs(self, services: Sequence[Service]) -> Sequence[ScrapeJob]:
        """One for each: what measures a disk runs in the pod that it is mounted in."""
        return [service.scrape_job(f"{service.name}-disks", disks.PORT, labels_nodes=True) for service in services]

    def publish_monitoring(self, monitoring_targets: MonitoringTargets, opts: ResourceOptions) -> None:
        """Let the Prometheus of the monitoring namespace in; make the operator's objects where there is an operator.

        A Prometheus without an operator is let in too; its scrape jobs are then written by hand.
        """
        inside = [job for job in monitoring_targets.scrape_jobs if not job.outside]
        for job in inside if self._args.settings.monitoring_namespace else ():
            self._network_policy(network.from_monitoring(job.target, self._cluster), opts)
        if not self._args.settings.monitoring_operator:
            return
        for job in inside:
            self._monitor(job, monitoring_targets.interval_seconds, opts)
        self._maker.make("PrometheusRule", "rules", monitors.rules(monitoring_targets, self._cluster), opts)
        for name, content in monitoring_targets.dashboards.items():
            self._maker.make("ConfigMap", f"dashboard-{name}", monitors.dashboard(name, content, self._cluster), opts)

    def _monitor(self, job: ScrapeJob, interval_seconds: int, opts: ResourceOptions) -> None:
        if job.bearer is not None:
            self._maker.make("Secret", f"{job.name}-scrape-token", monitors.bearer_secret(job, self._cluster), opts)
        monitor = monitors.service_monitor(job, interval_seconds, self._cluster)
        self._maker.make("ServiceMonitor", job.name, monitor, opts)

    def _network_policy(self, policy: Manifest, opts: ResourceOptions) -> pulumi.Resource:
        return self._maker.make("NetworkPolicy", policy["metadata"]["name"], policy, opts)

    def given_secrets(self) -> pulumi.Output[Mapping[str, str]] | None:
        """The contents of the Secret that the stack file names."""
        name = self._args.settings.secret_name
        if not name:
            return None
        own = ResourceOptions(parent=self, provider=self._provider)
        found = kubernetes.core.v1.Secret.get("given-secrets", f"{self._cluster.namespace}/{name}", own)
        return pulumi.Output.secret(found.data.apply(files.decoded))

    def _made_naming_key(self, opts: ResourceOptions) -> pulumi.Output[str]:
        """The key of the digests in the names of Secrets, which more people may list than read."""
        own = ResourceOptions.merge(opts, ResourceOptions(provider=random.Provider("naming", opts=opts)))
        return random.RandomPassword("naming-key", length=40, special=False, opts=own).result

    def _namespace(self, opts: ResourceOptions) -> list[pulumi.Resource]:
        if not self._args.settings.create_namespace:
            return []
        return [self._maker.make("Namespace", self._cluster.namespace, namespace(self._cluster), opts)]

    def _namespace_baseline(self, opts: ResourceOptions) -> list[pulumi.Resource]:
        """Before any pod: PriorityClasses and a default-deny NetworkPolicy, with an exception for DNS."""
        cluster = self._cluster
        ranks = spread.PRIORITIES if cluster.settings.priority_classes else ()
        classes = [
            self._maker.make("PriorityClass", rank, spread.priority_class(rank, cluster), opts) for rank in ranks
        ]
        policies = (network.deny_all(cluster), network.names(cluster))
        return [*classes, *(self._network_policy(policy, opts) for policy in policies)]

    def _pod_parts(self, name: str, workload: Workload, opts: ResourceOptions) -> Mapping[str, pulumi.Input[str]]:
        """What a pod cannot start without: its account, its files, and the policies for its connections."""
        account = {"metadata": self._cluster.metadata(name, name), "automountServiceAccountToken": False}
        self._maker.make("ServiceAccount", name, account, opts)
        connections = network.connections_of(name, workload, self._cluster)
        for policy in [*connections, *network.from_outside(name, workload, self._cluster)]:
            self._network_policy(policy, opts)
        names: dict[str, pulumi.Input[str]] = {}
        if workload.files:
            manifest = files.config_map(name, workload.files, self._cluster)
            self._maker.make("ConfigMap", f"{name}-files", manifest, opts)
            names["files"] = manifest["metadata"]["name"]
        for kind, contents in (("secret-files", workload.secret_files), ("secret-env", workload.secret_env)):
            if contents:
                manifest = files.secret(name, contents, self._cluster, self._naming_key)
                self._maker.make("Secret", f"{name}-{kind}", manifest, opts)
                names[kind] = manifest["metadata"]["name"]
        if edge.certificate_volumes(workload, self._cluster):
            names["certificate"] = self._certificate
        return names

    @cached_property
    def _certificate(self) -> pulumi.Output[str]:
        """A digest of the edge's certificate, which is public; Kong reads it at its start only: a new one rolls it."""
        own = ResourceOptions(parent=self, provider=self._provider)
        name = f"{self._cluster.namespace}/{self._args.settings.edge_tls_secret}"
        found = kubernetes.core.v1.Secret.get("edge-certificate", name, own)
        return pulumi.Output.unsecret(found.data.apply(lambda data: files.digest(data.get("tls.crt"))))

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
        kept = ResourceOptions(parent=opts.parent, depends_on=opts.depends_on, protect=self._args.protect_data)
        return [
            JobOnce(
                f"{name}-founding",
                context=self._args.settings.context,
                manifest=storage.founding_job(name, workload, self._cluster),
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
        ignored = ["spec.replicas"] if scales(workload, self._cluster) else None  # the autoscaler sets it
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


def namespace(cluster: Cluster) -> Manifest:
    """Where the cluster itself refuses a pod that is not restricted."""
    level = "pod-security.kubernetes.io"
    labels = {f"{level}/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {"metadata": {"name": cluster.namespace, "labels": labels | cluster.labels()}}
