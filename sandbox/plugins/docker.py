"""Stand-in for the Pulumi plugin `docker`: networks, volumes, images and containers of the engine at DOCKER_HOST.

What forces a replacement, what is an update and what is silently not done are as in terraform-provider-docker 4.5.
"""

import re
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound

from sandbox.plugins.bridge import Gone, Plugin, Resource, Schema, State, canonical, serve, unfinished, words
from sandbox.polling import poll


def pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


def fields(text: str) -> dict[str, str]:
    """Inputs, and what each is called elsewhere."""
    return dict(pair.split("=") for pair in text.split())


MIB = 1024 * 1024
NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
# Inputs that are one field of the engine's API, and under which of its headings.
CONFIG = fields(
    "image=Image hostname=Hostname user=User workingDir=WorkingDir command=Cmd entrypoints=Entrypoint envs=Env tty=Tty "
    "stopSignal=StopSignal stopTimeout=StopTimeout"
)
HOST = fields(
    "rm=AutoRemove readOnly=ReadonlyRootfs privileged=Privileged networkMode=NetworkMode tmpfs=Tmpfs dns=Dns "
    "dnsSearches=DnsSearch securityOpts=SecurityOpt init=Init cpuShares=CpuShares cpuSet=CpusetCpus pidMode=PidMode "
    "ipcMode=IpcMode sysctls=Sysctls groupAdds=GroupAdd"
)
MEBIBYTES = {name: pascal(name) for name in ("memory", "memoryReservation", "memorySwap", "shmSize")}
DURATIONS = {name: pascal(name) for name in ("interval", "timeout", "startPeriod", "startInterval")}
# Inputs that are one argument of the Docker SDK.
LIMITS = fields(
    "cpuShares=cpu_shares cpuSet=cpuset_cpus memory=mem_limit memoryReservation=mem_reservation "
    "memorySwap=memswap_limit restart=restart_policy maxRetryCount=restart_policy"
)
BUILD = fields(
    "context=path dockerfile=dockerfile buildArgs=buildargs labels=labels label=labels networkMode=network_mode "
    "noCache=nocache target=target"
)
LABELS = {"labels": words("label value")}


class Network(Resource):
    schema = Schema(
        replacing=words("name labels driver options internal attachable"),
        computed=words("driver options internal"),
        unordered=words("labels"),
        outputs=words("scope"),
        nested=LABELS,
    )

    def create(self, inputs: State) -> tuple[str, State]:
        given = {name: inputs.get(name) for name in self.schema.inputs}
        with attempting("create network"):
            made = engine().create_network(**{**given, "labels": labelled(inputs)}, check_duplicate=True)
        return self.read(made["Id"], inputs)

    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        found = inspected("network", resource_id)
        return resource_id, {**state, **{name: found[pascal(name)] for name in ("name", "driver", "internal", "scope")}}

    def delete(self, resource_id: str, state: State) -> None:
        with attempting("remove network"):
            engine().remove_network(resource_id)


class Volume(Resource):
    schema = Schema(
        replacing=words("name labels driver driverOpts"),
        computed=words("driver"),
        unordered=words("labels"),
        outputs=words("mountpoint"),
        nested=LABELS,
    )

    def create(self, inputs: State) -> tuple[str, State]:
        driver, options = inputs.get("driver"), inputs.get("driverOpts")
        with attempting("create volume"):
            engine().create_volume(inputs["name"], driver=driver, driver_opts=options, labels=labelled(inputs))
        return self.read(inputs["name"], inputs)

    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        found = inspected("volume", resource_id)
        return resource_id, {**state, "driver": found["Driver"], "mountpoint": found["Mountpoint"]}

    def delete(self, resource_id: str, state: State) -> None:
        with attempting("remove volume"):
            engine().remove_volume(resource_id, force=True)


class RemoteImage(Resource):
    """An image, pulled or built by the classic builder; unless keepLocally, a delete takes its name from any heir."""

    schema = Schema(
        required=words("name"),
        replacing=words("name pullTriggers build triggers platform"),
        updating=words("keepLocally forceRemove"),
        unordered=words("pullTriggers"),
        outputs=words("imageId repoDigest"),
        nested={"build": words("useLegacyBuilder", BUILD)},
        autonamed=False,
    )

    def create(self, inputs: State) -> tuple[str, State]:
        if "build" in inputs:
            build(inputs["name"], inputs["build"])
        have_image(inputs["name"], inputs.get("platform"))
        return self.read("", inputs)

    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        name = state["name"]
        found = inspected("image", name)
        digests = [digest for digest in found["RepoDigests"] or [] if digest.split("@")[0] == name.split(":")[0]]
        return found["Id"] + name, {**state, "imageId": found["Id"], "repoDigest": (digests or [""])[0]}

    def update(self, resource_id: str, olds: State, news: State) -> State:
        have_image(news["name"], news.get("platform"))
        return self.read(resource_id, news)[1]

    def delete(self, resource_id: str, state: State) -> None:
        if not state.get("keepLocally"):
            with attempting("remove image"):
                engine().remove_image(state["name"], force=state.get("forceRemove", False))


class Container(Resource):
    """A container, made as the real plugin makes it: on the bridge, joined to its networks, filled, then started."""

    # Of these only LIMITS and mustRun do anything: a changed healthcheck, tmpfs or init goes to the state alone.
    updating = words(
        "rm start wait waitTimeout mustRun removeVolumes tmpfs destroyGraceSeconds healthcheck init", LIMITS
    )
    schema = Schema(
        required=words("image"),
        updating=updating,
        replacing=words(
            "name capabilities volumes ports ulimits labels logDriver logOpts networksAdvanced uploads hosts"
        ).union(CONFIG, HOST, MEBIBYTES)
        - updating,
        computed=words(
            "hostname command entrypoints user workingDir securityOpts stopSignal stopTimeout envs labels shmSize "
            "ipcMode logDriver healthcheck init"
        ),
        unordered=words(
            "dns dnsSearches capabilities securityOpts volumes ports ulimits envs labels networksAdvanced uploads "
            "groupAdds hosts"
        ),
        alike={"healthcheck": lambda old, new: timed(old) == timed(new)},
        outputs=words("bridge exitCode networkDatas"),
        nested=LABELS
        | {
            "capabilities": words("adds drops"),
            "volumes": words("containerPath hostPath volumeName readOnly"),
            "ports": words("internal external ip protocol"),
            "ulimits": words("name soft hard"),
            "networksAdvanced": words("name aliases ipv4Address"),
            "hosts": words("host ip"),
            "uploads": words("file content source sourceHash executable permissions"),
            "healthcheck": words("tests retries", DURATIONS),
        },
        defaults={"waitTimeout": 60, "restart": "no", "networkMode": "bridge"}
        | dict.fromkeys(("start", "mustRun", "removeVolumes"), True),
        deletes_first=True,
    )

    def create(self, inputs: State) -> tuple[str, State]:
        have_image(inputs["image"])
        with attempting("create container", name=inputs["name"]):
            made = engine().create_container_from_config(container_config(inputs), inputs["name"])["Id"]
        with unfinished(made, inputs):
            join(made, inputs.get("networksAdvanced", []))
            with attempting("upload volume content"):
                for upload in inputs.get("uploads", []):
                    engine().put_archive(made, "/", packed(upload))
            if inputs.get("start"):
                with attempting("start container"):
                    engine().start(made)
                if inputs.get("wait"):
                    await_health(made, inputs["waitTimeout"])
        return self.read(made, inputs)

    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        return resource_id, {**state, **observed(inspected("container", resource_id))}

    def update(self, resource_id: str, olds: State, news: State) -> State:
        with attempting("update container"):
            if news.get("mustRun") and not olds.get("mustRun") and news.get("start"):
                engine().start(resource_id)
            if any(not self.schema.same(name, olds.get(name), news.get(name)) for name in LIMITS):
                limits = {argument: counted(news, name) for name, argument in LIMITS.items() if news.get(name)}
                engine().update_container(resource_id, **{**limits, "restart_policy": restart_policy(news)})
        return news

    def delete(self, resource_id: str, state: State) -> None:
        """Stop with the grace that the *old* state names, by default none (SIGKILL at once), and remove."""
        with attempting("delete container"):
            engine().stop(resource_id, timeout=state.get("destroyGraceSeconds", 0))
            engine().remove_container(resource_id, v=state.get("removeVolumes", True), force=True)


def container_config(inputs: State) -> State:
    """The engine's own description of a container."""
    ports: dict[str, list[State]] = {}
    for port in inputs.get("ports", []):
        published = {"HostIp": port.get("ip", ""), "HostPort": str(port.get("external", ""))}
        ports.setdefault(f"{port['internal']}/{port.get('protocol', 'tcp')}", []).append(published)
    volumes, capabilities = inputs.get("volumes", []), inputs.get("capabilities", {})
    sources = [(volume.get("hostPath") or volume.get("volumeName"), volume) for volume in volumes]
    return {
        **{key: inputs[name] for name, key in CONFIG.items() if inputs.get(name)},
        "Labels": labelled(inputs),
        "ExposedPorts": {port: {} for port in ports},
        "Volumes": {volume["containerPath"]: {} for volume in volumes},
        "Healthcheck": health_config(inputs["healthcheck"]) if "healthcheck" in inputs else None,
        "HostConfig": {
            **{key: counted(inputs, name) for name, key in (HOST | MEBIBYTES).items() if inputs.get(name)},
            "Init": inputs.get("init", False),
            "RestartPolicy": restart_policy(inputs),
            "LogConfig": {"Type": inputs.get("logDriver", ""), "Config": inputs.get("logOpts", {})},
            "CapAdd": capabilities.get("adds"),
            "CapDrop": capabilities.get("drops"),
            "PortBindings": ports,
            "ExtraHosts": [f"{entry['host']}:{entry['ip']}" for entry in inputs.get("hosts", [])],
            "Binds": [f"{at}:{v['containerPath']}:{'ro' if v.get('readOnly') else 'rw'}" for at, v in sources if at],
            "Ulimits": [{pascal(key): value for key, value in limit.items()} for limit in inputs.get("ulimits", [])],
        },
    }


def restart_policy(inputs: State) -> State:
    return {"Name": inputs["restart"], "MaximumRetryCount": inputs.get("maxRetryCount", 0)}


def counted(inputs: State, name: str) -> Any:
    """The value in the engine's unit; -1 mebibytes, no limit, is -1."""
    value = inputs[name]
    return value * MIB if name in MEBIBYTES and value > 0 else value


def health_config(check: State) -> State:
    durations = {key: nanoseconds(check[name]) for name, key in DURATIONS.items() if name in check}
    return {"Test": check.get("tests"), "Retries": check.get("retries", 0), **durations}


def timed(check: Any) -> Any:
    """A health check without durations of zero."""
    known = isinstance(check, dict)
    return canonical({name: value for name, value in check.items() if value != "0s"} if known else check)


def nanoseconds(duration: str) -> int:
    """A Go duration such as 1m30s."""
    parts = re.findall(r"([\d.]+)(ns|us|ms|s|m|h)", duration)
    if "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"expected a duration such as 500ms or 1m30s, found {duration}")
    return round(sum(float(number) * NANOSECONDS[unit] for number, unit in parts))


def go_duration(value: int) -> str:
    """As Go prints it and the real plugin keeps it, so that 60s comes back as 1m0s and differs for ever."""
    minutes, rest = divmod(value, NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    seconds = f"{value / 10**6:g}ms" if 0 < value < 10**9 else f"{rest / 10**9:g}s"
    return f"{hours}h" * (hours > 0) + f"{minutes}m" * (hours + minutes > 0) + seconds


def observed(found: State) -> State:
    """What may differ from the state: what people change on a container, and what the engine makes of a wish."""
    host, check = found["HostConfig"], found["Config"].get("Healthcheck")
    state = {name: host[key] // MIB if host[key] > 0 else host[key] for name, key in MEBIBYTES.items()}
    if check:
        durations = {name: go_duration(check.get(key, 0)) for name, key in DURATIONS.items()}
        state["healthcheck"] = {"tests": check.get("Test"), "retries": check.get("Retries", 0), **durations}
    if not found["State"]["Running"]:
        state |= {"exitCode": found["State"]["ExitCode"], "mustRun": False}  # the difference makes `up` start it again
    networks = found["NetworkSettings"]["Networks"].items()
    return state | {
        "name": found["Name"].lstrip("/"),
        "restart": host["RestartPolicy"]["Name"],
        "maxRetryCount": host["RestartPolicy"]["MaximumRetryCount"],
        "cpuShares": host["CpuShares"],
        "cpuSet": host["CpusetCpus"],
        "bridge": found["NetworkSettings"]["Bridge"],
        "networkDatas": [{"networkName": name, "ipAddress": at["IPAddress"]} for name, at in networks],
    }


def join(container: str, networks: list[State]) -> None:
    if networks:
        with suppress(APIError):  # with a network mode of its own it is not on the bridge
            engine().disconnect_container_from_network(container, "bridge")
    for network in networks:
        address, aliases = network.get("ipv4Address"), network.get("aliases")
        with attempting(f"connect to network '{network['name']}'"):
            engine().connect_container_to_network(container, network["name"], address, aliases=aliases)


def packed(upload: State) -> bytes:
    """One file as the engine takes it."""
    text, source = upload.get("content", ""), upload.get("source", "")
    if bool(text) == bool(source):
        found = "both" if text else "neither"
        raise ValueError(f"upload {upload['file']}: expected either content or source, found {found}")
    content = text.encode() or Path(source).read_bytes()
    entry = tarfile.TarInfo(upload["file"])
    entry.size, entry.mtime = len(content), int(time.time())
    entry.mode = int(upload.get("permissions") or ("0744" if upload.get("executable") else "0644"), 8)
    archive = BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(entry, BytesIO(content))
    return archive.getvalue()


def await_health(container: str, timeout_seconds: float) -> None:
    def health() -> State:
        if found := inspected("container", container)["State"].get("Health"):
            return dict(found)
        raise RuntimeError("wait: expected a healthcheck, found none; add a healthcheck or leave out wait")

    def late() -> RuntimeError:
        output = [entry["Output"].strip() for entry in health()["Log"] or ()][-1:]
        message = f"container failed to be in healthy state in {timeout_seconds} s"
        return RuntimeError(f"{message}; last probe: {''.join(output)!r}")

    poll(lambda: health()["Status"] == "healthy", timeout_seconds, late, every=0.5)


def build(name: str, wanted: State) -> None:
    options = {argument: wanted[key] for key, argument in BUILD.items() if key in wanted}
    output = []
    with attempting(f"build {name}"):
        for line in engine().build(tag=name, rm=True, decode=True, **options):
            output.append(line.get("stream", ""))
            if "error" in line:
                raise RuntimeError(f"Unable to build {name}: {line['error']}\n{''.join(output[-20:])}")


def have_image(name: str, platform: str | None = None) -> None:
    try:
        inspected("image", name)
    except Gone:
        with attempting(f"find or pull image {name}"):
            engine().pull(name, platform=platform or None)


def labelled(inputs: State) -> dict[str, str]:
    return {entry["label"]: entry["value"] for entry in inputs.get("labels", [])}


def engine() -> Any:
    """This thread's client; its session is not made to be shared."""
    return client_of(threading.get_ident())


@cache
def client_of(thread: int) -> Any:
    return docker.from_env(timeout=1200).api


def inspected(kind: str, name: str) -> Any:
    with attempting(f"read {kind}"):
        return getattr(engine(), f"inspect_{kind}")(name)


@contextmanager
def attempting(what: str, name: str = "") -> Iterator[None]:
    """Turn the engine's refusal into one sentence."""
    try:
        yield
    except APIError as error:
        reason = f"Unable to {what}: {error.explanation or error}"
        if "already in use by container" in reason:
            reason += (
                "\nThe state of this stack does not have it; an interrupted `up` may have left it behind."
                f" If nothing else owns it, run `docker rm -f {name}`, then `up` again."
            )
        gone = isinstance(error, NotFound) or "removal of container" in reason  # which is already in progress
        raise (Gone if gone else RuntimeError)(reason) from error


def plugin() -> Plugin:
    """Like the real plugin, it wants an engine as soon as it is configured, even for a preview."""
    kinds = {"network": Network, "volume": Volume, "remoteImage": RemoteImage, "container": Container}
    resources = {f"docker:index/{name}:{pascal(name)}": kind() for name, kind in kinds.items()}
    return Plugin(resources, config=words("host"), connect=lambda _: engine().ping())


if __name__ == "__main__":
    serve("pulumi-docker", plugin())
