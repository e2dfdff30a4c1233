"""The services behind the gateway: each runs here as its entry says, or is reached where it runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import pulumi
from pulumi import Alias, ResourceOptions
from pydantic import RootModel

from components.gateway.node import Backends
from components.services.entry import ServiceEntry
from components.services.references import Known, Resolved, resolve
from platforms.base import Platform
from platforms.monitoring_targets import ScrapeJob
from platforms.policy_inputs import policy_inputs
from platforms.workload import AllowedConnection, HttpProbe, ImageBuild, Port, Resources, Workload

BUILDS = "rag-platform"  # the first part of the name of every image that is built here


@dataclass(frozen=True, kw_only=True)
class ServicesArgs:
    """Where they run, what each one is, and what the references in their settings stand for."""

    platform: Platform
    entries: Mapping[str, ServiceEntry]
    known: Mapping[str, Known]  # without the services themselves

    @cached_property
    def workloads(self) -> dict[str, Workload]:
        """Each service that runs here, by its name."""
        known = {**self.known, **neighbours(self.entries)}
        return {name: service_workload(entry, known) for name, entry in self.entries.items() if not entry.at}

    def public_url(self, name: str) -> str:
        """Address of a service for its operator on this machine, known before it runs; empty: it has none."""
        entry = self.entries.get(name)
        if not entry or not entry.published_port:
            return ""
        return self.platform.locate(name, self.workloads[name]).public_url(entry.port)


class Services(pulumi.ComponentResource):
    """Keeps the services running that run here; a service elsewhere is only routed to."""

    def __init__(self, name: str, args: ServicesArgs, opts: ResourceOptions | None = None) -> None:
        settings = RootModel[dict[str, ServiceEntry]](dict(args.entries))
        inputs = policy_inputs({"services": settings.model_dump()}, args.workloads)
        # Its name while there was one service only, the reference service.
        before = ResourceOptions(aliases=[Alias(name="rag", type_="rag:components:RagService")])
        super().__init__("rag:components:Services", name, inputs, ResourceOptions.merge(before, opts))
        child = ResourceOptions(parent=self)
        self._entries = args.entries
        self.running = {name: args.platform.run(name, workload, child) for name, workload in args.workloads.items()}
        self.ready = [resource for service in self.running.values() for resource in service.ready]
        self.register_outputs({})

    def scrape_jobs(self) -> Iterator[ScrapeJob]:
        """A job for each service that has metrics."""
        for name, entry in self._entries.items():
            if not entry.metrics:
                continue
            job = entry.job or name
            if entry.at:
                target = AllowedConnection.to(entry.at[0])
                yield ScrapeJob(name=job, target=target, addresses=entry.at, path=entry.metrics, outside=True)
            else:
                yield self.running[name].scrape_job(job, entry.port, path=entry.metrics)

    @property
    def backends(self) -> Backends:
        """What the gateway's routes lead to."""
        routed = {name: entry for name, entry in self._entries.items() if entry.routes}
        elsewhere = [entry for entry in routed.values() if entry.at]
        return Backends(
            connections=tuple(
                self.running[name].connection(entry.port) for name, entry in routed.items() if not entry.at
            ),
            outside=tuple(AllowedConnection.to(address).port for entry in elsewhere for address in entry.at),
            networks=tuple(dict.fromkeys(network for entry in elsewhere for network in entry.networks)),
            tls=any(entry.tls for entry in elsewhere),
        )


def neighbours(entries: Mapping[str, ServiceEntry]) -> dict[str, Known]:
    """`service.<name>.url` and `.address` of every service, as another one reaches it."""
    found: dict[str, Known] = {}
    for name, entry in entries.items():
        target = AllowedConnection.to(entry.at[0] if entry.at else f"{name}:{entry.port}")
        scheme = "https" if entry.tls else "http"
        connections = () if entry.at else (target,)
        reaches_out = (target.port,) if entry.at else ()
        for part, value in (("url", f"{scheme}://{target.address}"), ("address", target.address)):
            found[f"service.{name}.{part}"] = Known(value=value, connections=connections, reaches_out=reaches_out)
    return found


def service_workload(entry: ServiceEntry, known: Mapping[str, Known]) -> Workload:
    """What runs for an entry; what its references name it may connect to."""
    env, files, secret_env = (
        {key: resolve(text, known) for key, text in texts.items()}
        for texts in (entry.env, entry.secret_files, entry.secret_env)
    )
    used = [*env.values(), *files.values(), *secret_env.values()]
    return Workload(
        image=entry.image or image_build(entry),
        env={key: str(found.value) for key, found in env.items()},
        secret_env={key: found.value for key, found in secret_env.items()},
        secret_files={path: found.value for path, found in files.items()},
        ports=(Port(number=entry.port, published=entry.published_port),),
        replicas=entry.replicas,
        most_replicas=entry.most_replicas,
        connects_to=_connections(entry, used),
        reaches_out=tuple(sorted({*entry.reaches_out, *(port for each in used for port in each.reaches_out)})),
        data_dir=entry.data_dir,
        data_gib=entry.data_gib,
        folders=entry.folders,
        scratch_dirs=entry.scratch_dirs,
        readiness=HttpProbe(port=entry.port, path=entry.health),
        liveness=HttpProbe(port=entry.port, path=entry.liveness) if entry.liveness else None,
        start_seconds=entry.start_seconds,
        grace_seconds=entry.grace_seconds,
        user=entry.user,
        resources=Resources(memory_mib=entry.memory_mib, cpus=entry.cpus),
    )


def image_build(entry: ServiceEntry) -> ImageBuild:
    """The image made from the entry's folder, named after it."""
    return ImageBuild(name=f"{BUILDS}/{folder_name(entry)}", context=entry.build, build_args=entry.build_args)


def folder_name(entry: ServiceEntry) -> str:
    return entry.build.rstrip("/").rpartition("/")[2].lower()


def _connections(entry: ServiceEntry, used: list[Resolved]) -> tuple[AllowedConnection, ...]:
    wanted = [AllowedConnection.to(address) for address in entry.connects_to]
    return tuple(dict.fromkeys([*(each for found in used for each in found.connections), *wanted]))
