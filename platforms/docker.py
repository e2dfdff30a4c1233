"""The Docker platform: one container per replica on a user network, ports on the loopback address only."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pulumi
import pulumi_docker as docker
from docker.utils.build import exclude_paths
from pulumi import ResourceOptions

from access.docker_engine import LABEL, bound_processes
from platforms import disks
from platforms.base import Rollout, Service, after
from platforms.monitoring_targets import MonitoringTargets, ScrapeJob
from platforms.workload import THIS_MACHINE, AllowedConnection, HttpProbe, ImageBuild, Workload
from providers.one_shot import OneShot

LOOPBACK = "127.0.0.1"
# An exec costs the engine a tenth of a second of a core: health checks of fifteen replicas every two seconds took most
# of one. After a success the health check waits before it runs again; the first one, and the one after a failure, run
# soon. Docker has `start_interval` for that from 25 on. What is in /dev/shm is gone when the replica starts again.
HEALTHY_PAUSE_SECONDS = 28
HEALTH_CHECK = f"""\
[ ! -e /dev/shm/well ] || {{ rm /dev/shm/well; sleep {HEALTHY_PAUSE_SECONDS}; }}
timeout 5 "$@" && : > /dev/shm/well"""
# A failed start is saved as an initialisation error and would pass on the next run: replace it then. The engine
# does not see a changed health check, or other scratch space, as a change of the container either.
REPLACE_ON = ["#initerror", "healthcheck", "tmpfs"]
SCRATCH = "size=256m,mode=1777"  # bytes in it count against the container's memory
READ_ONLY = "0444"
SHARES_OF_ONE = 1024  # the engine's default weight of a container


@dataclass(frozen=True, kw_only=True)
class DockerArgs:
    """`prefix` names this stack's containers and volumes; `protect_data` makes `destroy` refuse to drop volumes."""

    prefix: str
    root: Path
    disk_exporter_image: str
    protect_data: bool = True


class DockerPlatform(pulumi.ComponentResource):
    """Runs workloads as containers of the local Docker engine."""

    def __init__(self, args: DockerArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("rag:platforms:Docker", "docker", {"prefix": args.prefix}, opts)
        self._args = args
        self._provider = docker.Provider("engine", opts=ResourceOptions(parent=self))
        self._network = docker.Network(
            "network",
            name=args.prefix,
            driver="bridge",
            labels=[docker.NetworkLabelArgs(label=LABEL, value=args.prefix)],
            opts=ResourceOptions(parent=self, provider=self._provider),
        )
        self._images: dict[str, docker.RemoteImage] = {}
        self._disks: dict[str, docker.Volume] = {}  # replica -> its disk
        self.register_outputs({"network": self._network.name})

    @property
    def certificate_dir(self) -> str:
        """None: it publishes to this machine only."""
        return ""

    def edge(self, service: Service, https_port: int) -> None:
        """None: it publishes to this machine only."""

    def given_secrets(self) -> None:
        """None: the stack keeps its own."""

    def disk_jobs(self, services: Sequence[Service]) -> Sequence[ScrapeJob]:
        """One for all of them."""
        target = AllowedConnection(name=disks.NAME, port=disks.PORT)
        return [ScrapeJob(name="disks", target=target, addresses=(target.address,))]

    def publish_monitoring(self, monitoring_targets: MonitoringTargets, opts: ResourceOptions) -> None:
        """Run what sees the disk of every replica; no other Prometheus monitors this machine."""
        self.run(disks.NAME, disks.exporter(self._args.disk_exporter_image), opts)

    def locate(self, name: str, workload: Workload) -> Service:
        """By its name on the network, and by its published ports on the loopback address."""
        published = {port.number: port.published for port in workload.ports if port.published}
        return Service(name=name, replicas=workload.replicas, published=published, public_host=LOOPBACK)

    def run(self, name: str, workload: Workload, opts: ResourceOptions, rollout: Rollout | None = None) -> Service:
        """One container per replica, each made only after the one before it is ready, or settled."""
        opts = ResourceOptions.merge(opts, ResourceOptions(provider=self._provider))
        ready: list[pulumi.Resource] = []
        founding = self._founding(name, workload, opts)
        volumes = [self._volume(f"{name}-{n}", workload, opts, founding) for n in range(workload.replicas)]
        for ordinal, volume in enumerate(volumes):
            container = self._container(
                name, ordinal=ordinal, workload=workload, volume=volume, opts=after(opts, ready), rollout=rollout
            )
            ready = [container]
            if rollout:
                ready = [rollout.settled(ordinal, container.id, after(_plain(opts), [container]))]
        return replace(self.locate(name, workload), ready=ready, data=[volume for volume in volumes if volume])

    def run_once(self, name: str, workload: Workload, opts: ResourceOptions) -> pulumi.Resource:
        """A container that runs to its end, and again when its command, image or environment changes."""
        return OneShot(
            name,
            container=self._prefixed(name),
            image=self._image(workload.image).image_id,
            command=list(workload.args),
            env=dict(workload.env),
            files={**workload.files, **workload.secret_files},
            network=self._network.name,
            label=self._args.prefix,
            opts=_plain(opts),
        )

    def _volume(
        self, name: str, workload: Workload, opts: ResourceOptions, founding: Sequence[pulumi.Resource]
    ) -> docker.Volume | None:
        if not workload.data_dir:
            return None
        # Depends on nothing that runs, so that everything else can be destroyed and the data stay.
        keep = ResourceOptions(
            parent=opts.parent, provider=self._provider, depends_on=founding, protect=self._args.protect_data
        )
        self._disks[name] = docker.Volume(name, name=self._prefixed(name), opts=keep)
        return self._disks[name]

    def _prefixed(self, name: str) -> str:
        return f"{self._args.prefix}-{name}"

    def _founding(self, name: str, workload: Workload, opts: ResourceOptions) -> list[pulumi.Resource]:
        """Leave the permission to found in the data of replica 0, once.

        It names the volume (the engine makes it on first use) and does not refer to it, so that the volumes can depend
        on this: what a protected volume depends on is kept with it when the rest of the stack is destroyed.
        """
        if not workload.founding_file or not workload.data_dir:
            return []
        return [
            OneShot(
                f"{name}-founding",
                container=self._prefixed(f"{name}-founding"),
                image=self._image(workload.image).image_id,
                command=["touch", f"{workload.data_dir}/{workload.founding_file}"],
                volume=self._prefixed(f"{name}-0"),
                volume_path=workload.data_dir,
                label=self._args.prefix,
                once=True,
                opts=ResourceOptions(parent=opts.parent),
            )
        ]

    def _container(
        self,
        name: str,
        *,
        ordinal: int,
        workload: Workload,
        volume: docker.Volume | None,
        opts: ResourceOptions,
        rollout: Rollout | None,
    ) -> docker.Container:
        replica = f"{name}-{ordinal}"
        hooks = pulumi.ResourceHookBinding(
            after_create=[self._bounded(replica)], before_delete=[rollout.before_stop(ordinal)] if rollout else None
        )
        own = ResourceOptions(delete_before_replace=True, replace_on_changes=REPLACE_ON, hooks=hooks)
        return docker.Container(
            replica,
            name=self._prefixed(replica),
            image=self._image(workload.image).image_id,
            entrypoints=list(workload.command) or None,
            command=list(workload.args) or None,
            envs=_environment(workload),
            uploads=_uploads(workload),
            hostname=replica,
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=self._network.name, aliases=[name, replica]),
                *(docker.ContainerNetworksAdvancedArgs(name=network) for network in workload.networks),
            ],
            # On Linux the engine knows this name only where it is asked to. Every container has it, so that a first
            # service on this machine replaces none of them.
            hosts=[docker.ContainerHostArgs(host=THIS_MACHINE, ip="host-gateway")],
            ports=_ports(workload, ordinal),
            volumes=[*self._mounts(workload, volume), *(self._seen() if name == disks.NAME else [])] or None,
            tmpfs=dict.fromkeys(workload.scratch_dirs, SCRATCH) or None,
            healthcheck=_healthcheck(workload),
            wait=workload.readiness is not None,
            wait_timeout=workload.start_seconds,
            must_run=True,
            restart="unless-stopped",
            destroy_grace_seconds=workload.grace_seconds or None,  # none: killed at once
            stop_timeout=workload.grace_seconds or None,  # whatever stops it
            stop_signal=None if workload.grace_seconds else "SIGKILL",  # whatever stops it
            memory=workload.resources.memory_mib,
            memory_swap=workload.resources.memory_mib,  # none beyond it; left out, the engine doubles it
            cpu_shares=round(SHARES_OF_ONE * workload.resources.cpus),
            init=True,
            security_opts=["no-new-privileges"],
            capabilities=_capabilities(workload),
            labels=[docker.ContainerLabelArgs(label=LABEL, value=self._args.prefix)],
            log_driver="json-file",
            log_opts={"max-size": "20m", "max-file": "2"},
            opts=ResourceOptions.merge(opts, own),
        )

    def _mounts(self, workload: Workload, volume: docker.Volume | None) -> list[docker.ContainerVolumeArgs]:
        data = [docker.ContainerVolumeArgs(volume_name=volume.name, container_path=workload.data_dir)] if volume else []
        folders = [
            docker.ContainerVolumeArgs(
                host_path=str((self._args.root / folder).resolve()), container_path=path, read_only=True
            )
            for path, folder in sorted(workload.folders.items())
        ]
        work = [docker.ContainerVolumeArgs(container_path=workload.work_dir)] if workload.work_dir else []
        return [*data, *work, *folders]

    def _seen(self) -> list[docker.ContainerVolumeArgs]:
        """Every disk, for what measures them."""
        return [
            docker.ContainerVolumeArgs(
                volume_name=volume.name, container_path=f"{disks.FOLDER}/{replica}", read_only=True
            )
            for replica, volume in sorted(self._disks.items())
        ]

    def _bounded(self, replica: str) -> pulumi.ResourceHook:
        """Bounds the number of processes, which the engine's plugin cannot."""

        async def bound(hook: pulumi.ResourceHookArgs) -> None:
            await asyncio.to_thread(bound_processes, self._prefixed(replica))

        return pulumi.ResourceHook(f"{replica}-processes", bound)

    def _image(self, image: str | ImageBuild) -> docker.RemoteImage:
        """Pulled, or built here; one resource for each."""
        key = image if isinstance(image, str) else image.name
        if key not in self._images:
            reference, build = (image, None) if isinstance(image, str) else self._build(image)
            own = ResourceOptions(parent=self, provider=self._provider)
            self._images[key] = docker.RemoteImage(key, name=reference, keep_locally=True, build=build, opts=own)
        return self._images[key]

    def _build(self, build: ImageBuild) -> tuple[str, docker.RemoteImageBuildArgs]:
        """Named by the content of its folder, so that an edit is a new image and nothing else is."""
        context = self._args.root / build.context
        args = docker.RemoteImageBuildArgs(
            context=str(context), build_args=dict(build.build_args), network_mode="host", use_legacy_builder=True
        )
        return f"{build.name}:{content_hash(context, build.build_args)}", args


def content_hash(context: Path, build_args: Mapping[str, str]) -> str:
    """Twelve characters that change when a file of the build context, or a build argument, does.

    What .dockerignore leaves out is no part of the context: a type checker's cache or an edited test builds nothing.
    """
    digest = hashlib.sha256(repr(sorted(build_args.items())).encode())
    ignored = context / ".dockerignore"
    patterns = ignored.read_text().splitlines() if ignored.exists() else []
    for name in sorted(exclude_paths(str(context), patterns)):
        if (path := context / name).is_file():
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _plain(opts: ResourceOptions) -> ResourceOptions:
    """The same options for a resource of another provider."""
    return ResourceOptions(parent=opts.parent, depends_on=opts.depends_on)


def _capabilities(workload: Workload) -> docker.ContainerCapabilitiesArgs:
    """As the engine returns them, so that nothing looks changed."""
    return docker.ContainerCapabilitiesArgs(
        drops=["ALL"], adds=[f"CAP_{name}" for name in workload.capabilities] or None
    )


def _environment(workload: Workload) -> list[pulumi.Input[str]]:
    plain = [f"{key}={value}" for key, value in sorted(workload.env.items())]
    secret: list[pulumi.Input[str]] = [
        pulumi.Output.secret(value).apply(f"{key}={{}}".format) for key, value in sorted(workload.secret_env.items())
    ]
    return [*plain, *secret]


def _ports(workload: Workload, ordinal: int) -> list[docker.ContainerPortArgs]:
    return [
        docker.ContainerPortArgs(internal=port.number, external=port.published + ordinal, ip=LOOPBACK)
        for port in workload.ports
        if port.published
    ]


def _uploads(workload: Workload) -> list[docker.ContainerUploadArgs]:
    plain = [(path, pulumi.Output.from_input(content)) for path, content in workload.files.items()]
    secret = [(path, pulumi.Output.secret(content)) for path, content in workload.secret_files.items()]
    return [
        docker.ContainerUploadArgs(file=path, content=content, permissions=READ_ONLY)
        for path, content in sorted(plain + secret)
    ]


def _healthcheck(workload: Workload) -> docker.ContainerHealthcheckArgs | None:
    if workload.readiness is None:
        return None
    probe = workload.readiness
    command = _http_test(probe) if isinstance(probe, HttpProbe) else probe.command
    # The interval is also how long a ready container waits to count as ready. Failures at its start do not count.
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", "sh", "-c", HEALTH_CHECK, "look", *command],
        interval="2s",
        timeout=_duration(HEALTHY_PAUSE_SECONDS + 10),
        retries=3,
        start_period=_duration(workload.start_seconds),
    )


def _duration(seconds: int) -> str:
    """As Go prints it, because the provider compares it with what the engine returns: 120 is `2m0s`."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _http_test(probe: HttpProbe) -> list[str]:
    """With wget where the image has it, else with bash: none of the images has curl, each has one of these."""
    wget = f"wget -q -O /dev/null http://127.0.0.1:{probe.port}{probe.path}"
    request = f"GET {probe.path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n"
    bash = f"exec 3<>/dev/tcp/127.0.0.1/{probe.port} && printf '{request}' >&3 && head -1 <&3 | grep -q ' 200'"
    return ["sh", "-c", f'if command -v wget >/dev/null; then {wget}; else bash -c "$0"; fi', bash]
