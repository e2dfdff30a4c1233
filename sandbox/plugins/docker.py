"""Stand-in for the Pulumi plugin `docker`: networks, volumes, images and containers of a real engine.

What forces a replacement, what is an update and what is silently not done are as in terraform-provider-docker 4.5.
"""

import base64
import os
import re
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound

from sandbox.plugins.bridge import GoneError, Plugin, Resource, State, serve, unfinished, words

MIB = 1024 * 1024
NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
# Inputs that are one field of the engine's API, under each of its two headings.
CONFIG = {
    "image": "Image", "hostname": "Hostname", "user": "User", "workingDir": "WorkingDir", "command": "Cmd",
    "entrypoints": "Entrypoint", "envs": "Env", "stopSignal": "StopSignal", "stopTimeout": "StopTimeout", "tty": "Tty",
}  # fmt: skip
HOST = {
    "rm": "AutoRemove", "readOnly": "ReadonlyRootfs", "privileged": "Privileged", "networkMode": "NetworkMode",
    "tmpfs": "Tmpfs", "dns": "Dns", "dnsSearches": "DnsSearch", "securityOpts": "SecurityOpt", "init": "Init",
    "cpuShares": "CpuShares", "cpuSet": "CpusetCpus", "pidMode": "PidMode", "ipcMode": "IpcMode", "sysctls": "Sysctls",
    "groupAdds": "GroupAdd",
}  # fmt: skip
MEBIBYTES = {"memory": "Memory", "memoryReservation": "MemoryReservation", "memorySwap": "MemorySwap", "shmSize": "ShmSize"}
DURATIONS = {"interval": "Interval", "timeout": "Timeout", "startPeriod": "StartPeriod", "startInterval": "StartInterval"}
LIMITS = words("restart maxRetryCount cpuShares cpuSet memory memoryReservation memorySwap")
LABEL = words("label value")


class Engine:
    """Where the engine listens: the provider's `host`, else DOCKER_HOST."""

    host: str | None = None

    def connect(self, config: State) -> None:
        """Like the real plugin, fail at once where there is no engine, even for a preview."""
        self.host = config.get("host")
        self.api.ping()

    @property
    def api(self) -> Any:
        environment = {**os.environ, **({"DOCKER_HOST": self.host} if self.host else {})}
        return docker.from_env(environment=environment, timeout=1200).api


class EngineResource(Resource):
    def __init__(self, engine: Engine) -> None:
        self.engine = engine


class Network(EngineResource):
    replacing = words("name labels driver options internal attachable")
    computed = words("driver options internal")
    unordered = words("labels")
    outputs = words("scope")
    nested = {"labels": LABEL}

    def create(self, inputs: State) -> tuple[str, State]:
        given = {name: inputs.get(name) for name in ("driver", "options", "internal", "attachable")}
        with doing("create network"):
            made = self.engine.api.create_network(inputs["name"], labels=labelled(inputs), check_duplicate=True, **given)
        return self.read(made["Id"], inputs)

    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        with doing("read network"):
            seen = self.engine.api.inspect_network(resource_id)
        names = ("name", "driver", "options", "internal", "attachable", "scope")
        return resource_id, {**state, **{name: seen[name.title()] for name in names}}

    def delete(self, resource_id: str, state: State) -> None:
        for busy in patiently("has active endpoints"):
            with busy, doing("remove network"):
                self.engine.api.remove_network(resource_id)


class Volume(EngineResource):
    replacing = words("name labels driver driverOpts")
    computed = words("name driver")
    unordered = words("labels")
    outputs = words("mountpoint")
    nested = {"labels": LABEL}

    def create(self, inputs: State) -> tuple[str, State]:
        driver, options = inputs.get("driver"), inputs.get("driverOpts")
        with doing("create volume"):
            self.engine.api.create_volume(inputs["name"], driver=driver, driver_opts=options, labels=labelled(inputs))
        return self.read(inputs["name"], inputs)

    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        with doing("read volume"):
            seen = self.engine.api.inspect_volume(resource_id)
        return resource_id, {**state, "driver": seen["Driver"], "mountpoint": seen["Mountpoint"]}

    def delete(self, resource_id: str, state: State) -> None:
        for busy in patiently("volume is in use"):
            with busy, doing("remove volume"):
                self.engine.api.remove_volume(resource_id, force=True)


class RemoteImage(EngineResource):
    """An image, pulled or built by the classic builder; deleting removes what has its name *then*, unless keepLocally."""

    required = words("name")
    replacing = words("name pullTriggers build triggers platform")
    updating = words("keepLocally forceRemove")
    unordered = words("pullTriggers")
    outputs = words("imageId repoDigest")
    nested = {"build": words("context dockerfile buildArgs label labels networkMode noCache target useLegacyBuilder")}
    autonamed = False

    def create(self, inputs: State) -> tuple[str, State]:
        if "build" in inputs:
            build(self.engine.api, inputs["name"], inputs["build"])
        have_image(self.engine.api, inputs["name"], inputs.get("platform"))
        return self.read("", inputs)

    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        name = state["name"]
        with doing("read image"):
            seen = self.engine.api.inspect_image(name)
        digests = [digest for digest in seen["RepoDigests"] or [] if digest.split("@")[0] == name.split(":")[0]]
        return seen["Id"] + name, {**state, "imageId": seen["Id"], "repoDigest": (digests or [""])[0]}

    def update(self, resource_id: str, olds: State, news: State) -> State:
        have_image(self.engine.api, news["name"], news.get("platform"))
        return self.read(resource_id, news)[1]

    def delete(self, resource_id: str, state: State) -> None:
        if not state.get("keepLocally"):
            with doing("remove image"):
                self.engine.api.remove_image(state["name"], force=state.get("forceRemove", False))


class Container(EngineResource):
    """A container, made as the real plugin makes it: on the bridge, joined to its networks, filled, then started."""

    required = words("image")
    # Of these only LIMITS and mustRun do anything: a changed healthcheck, tmpfs or init goes to the state alone.
    updating = LIMITS | words(
        "rm start wait waitTimeout attach logs mustRun removeVolumes tmpfs destroyGraceSeconds healthcheck init"
    )
    replacing = (CONFIG.keys() | HOST.keys() | MEBIBYTES.keys() - updating) - updating | words(
        "name capabilities volumes ports hosts ulimits labels logDriver logOpts networksAdvanced uploads"
    )
    computed = words(
        "hostname command entrypoints user workingDir securityOpts stopSignal stopTimeout envs labels shmSize ipcMode "
        "logDriver healthcheck init"
    )
    unordered = words(
        "dns dnsSearches capabilities securityOpts volumes ports hosts ulimits envs labels networksAdvanced uploads "
        "groupAdds"
    )
    outputs = words("bridge exitCode containerLogs networkDatas")
    nested = {
        "capabilities": words("adds drops"), "volumes": words("containerPath hostPath volumeName readOnly"),
        "ports": words("internal external ip protocol"), "hosts": words("host ip"), "ulimits": words("name soft hard"),
        "labels": LABEL, "networksAdvanced": words("name aliases ipv4Address"),
        "uploads": words("file content contentBase64 source sourceHash executable permissions"),
        "healthcheck": words("tests interval timeout startPeriod startInterval retries"),
    }  # fmt: skip
    defaults = {
        "start": True, "waitTimeout": 60, "mustRun": True, "restart": "no", "removeVolumes": True, "networkMode": "bridge",
    }  # fmt: skip
    deletes_first = True

    def create(self, inputs: State) -> tuple[str, State]:
        api, state = self.engine.api, dict(inputs)
        have_image(api, inputs["image"])
        with doing("create container", name=inputs["name"]):
            made = api.create_container_from_config(container_config(inputs), inputs["name"])["Id"]
        with unfinished(made, state):
            join(api, made, inputs.get("networksAdvanced", []))
            with doing("upload volume content"):
                for upload in inputs.get("uploads", []):
                    api.put_archive(made, "/", packed(upload))
            if inputs.get("start"):
                with doing("start container"):
                    api.start(made)
                if inputs.get("wait"):
                    await_health(api, made, inputs["waitTimeout"])
            if inputs.get("attach"):
                api.wait(made, timeout=None)
                state["containerLogs"] = api.logs(made).decode(errors="replace") if inputs.get("logs") else None
        return self.read(made, state)

    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        with doing("read container"):
            return resource_id, {**state, **observed(self.engine.api.inspect_container(resource_id))}

    def update(self, resource_id: str, olds: State, news: State) -> State:
        if news.get("mustRun") and not olds.get("mustRun") and news.get("start"):
            with doing("start container"):
                self.engine.api.start(resource_id)
        if any(not self.same(name, olds.get(name), news.get(name)) for name in LIMITS):
            limits = {MEBIBYTES[name]: mebibytes(news, name) for name in LIMITS & MEBIBYTES.keys() if news.get(name)}
            with doing("update a container"):
                self.engine.api.update_container(
                    resource_id,
                    cpu_shares=news.get("cpuShares"),
                    cpuset_cpus=news.get("cpuSet"),
                    mem_limit=limits.get("Memory"),
                    mem_reservation=limits.get("MemoryReservation"),
                    memswap_limit=limits.get("MemorySwap"),
                    restart_policy=restart_policy(news),
                )
        return news

    def delete(self, resource_id: str, state: State) -> None:
        """Stop with the grace that the *old* state names, by default none (SIGKILL at once), and remove."""
        api = self.engine.api
        with doing("delete container"):
            if not state.get("attach"):
                api.stop(resource_id, timeout=state.get("destroyGraceSeconds", 0))
            api.remove_container(resource_id, v=state.get("removeVolumes", True), force=True)


def container_config(inputs: State) -> State:
    """The engine's own description of a container."""
    ports: dict[str, list[State]] = {}
    for port in inputs.get("ports", []):
        published = {"HostIp": port.get("ip", ""), "HostPort": str(port.get("external", ""))}
        ports.setdefault(f"{port['internal']}/{port.get('protocol', 'tcp')}", []).append(published)
    volumes, capabilities = inputs.get("volumes", []), inputs.get("capabilities", {})
    sources = [(mount.get("hostPath") or mount.get("volumeName"), mount) for mount in volumes]
    host = {
        **{key: inputs[name] for name, key in HOST.items() if inputs.get(name)},
        **{key: mebibytes(inputs, name) for name, key in MEBIBYTES.items() if inputs.get(name)},
        "Init": inputs.get("init", False),
        "RestartPolicy": restart_policy(inputs),
        "LogConfig": {"Type": inputs.get("logDriver", ""), "Config": inputs.get("logOpts", {})},
        "CapAdd": capabilities.get("adds"),
        "CapDrop": capabilities.get("drops"),
        "PortBindings": ports,
        "Binds": [f"{at}:{m['containerPath']}:{'ro' if m.get('readOnly') else 'rw'}" for at, m in sources if at],
        "ExtraHosts": [f"{entry['host']}:{entry['ip']}" for entry in inputs.get("hosts", [])],
        "Ulimits": [{key.title(): value for key, value in limit.items()} for limit in inputs.get("ulimits", [])],
    }
    return {
        **{key: inputs[name] for name, key in CONFIG.items() if inputs.get(name)},
        "Labels": labelled(inputs),
        "ExposedPorts": dict.fromkeys(ports, {}),
        "Volumes": {mount["containerPath"]: {} for mount in volumes},
        "Healthcheck": health_config(inputs["healthcheck"]) if "healthcheck" in inputs else None,
        "HostConfig": host,
    }


def health_config(check: State) -> State:
    durations = {key: nanoseconds(check[name]) for name, key in DURATIONS.items() if name in check}
    return {"Test": check.get("tests"), "Retries": check.get("retries", 0), **durations}


def restart_policy(inputs: State) -> State:
    return {"Name": inputs["restart"], "MaximumRetryCount": inputs.get("maxRetryCount", 0)}


def mebibytes(inputs: State, name: str) -> int:
    """In bytes; a negative number, which means no limit, stays as it is."""
    return int(inputs[name]) * (MIB if inputs[name] > 0 else 1)


def nanoseconds(duration: str) -> int:
    """A Go duration such as 1m30s."""
    parts = re.findall(r"([\d.]+)(ns|us|ms|s|m|h)", duration)
    if "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"expected a duration such as 500ms or 1m30s, found {duration}")
    return round(sum(float(number) * NANOSECONDS[unit] for number, unit in parts))


def go_duration(value: int) -> str:
    """As Go prints it and the real plugin keeps it, so that 60s comes back as 1m0s and differs for ever."""
    if 0 < value < NANOSECONDS["s"]:
        return f"{value / NANOSECONDS['ms']:g}ms"
    minutes, rest = divmod(value, NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest / NANOSECONDS['s']:g}s"


def observed(seen: State) -> State:
    """What can be different from the state: what people change on a container, and what the engine makes of a wish."""
    host, check = seen["HostConfig"], seen["Config"].get("Healthcheck")
    found = {name: host[key] // MIB if host[key] > 0 else host[key] for name, key in MEBIBYTES.items()}
    if check:
        durations = {name: go_duration(check.get(key, 0)) for name, key in DURATIONS.items()}
        found["healthcheck"] = {"tests": check.get("Test"), "retries": check.get("Retries", 0), **durations}
    if not seen["State"]["Running"]:
        found |= {"exitCode": seen["State"]["ExitCode"], "mustRun": False}  # the difference makes `up` start it again
    networks = seen["NetworkSettings"]["Networks"].items()
    return found | {
        "name": seen["Name"].lstrip("/"),
        "restart": host["RestartPolicy"]["Name"],
        "maxRetryCount": host["RestartPolicy"]["MaximumRetryCount"],
        "cpuShares": host["CpuShares"],
        "cpuSet": host["CpusetCpus"],
        "bridge": seen["NetworkSettings"]["Bridge"],
        "networkDatas": [{"networkName": name, "ipAddress": at["IPAddress"]} for name, at in networks],
    }


def join(api: Any, container: str, networks: list[State]) -> None:
    if networks:
        with suppress(APIError):  # with a network mode of its own it is not on the bridge
            api.disconnect_container_from_network(container, "bridge")
    for network in networks:
        with doing(f"connect to network '{network['name']}'"):
            address = network.get("ipv4Address")
            api.connect_container_to_network(container, network["name"], address, aliases=network.get("aliases"))


def packed(upload: State) -> bytes:
    """One file as the engine takes it."""
    given = {name: upload[name] for name in ("content", "contentBase64", "source") if upload.get(name)}
    if len(given) != 1:
        raise ValueError(f"upload {upload['file']}: expected one of content, contentBase64, source; found {list(given)}")
    [(kind, value)] = given.items()
    content = Path(value).read_bytes() if kind == "source" else base64.b64decode(value) if kind != "content" else value.encode()
    entry = tarfile.TarInfo(upload["file"])
    entry.size, entry.mtime = len(content), int(time.time())
    entry.mode = int(upload.get("permissions") or ("0744" if upload.get("executable") else "0644"), 8)
    archive = BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(entry, BytesIO(content))
    return archive.getvalue()


def await_health(api: Any, container: str, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while health := api.inspect_container(container)["State"].get("Health"):
        if health["Status"] == "healthy":
            return
        if time.monotonic() > deadline:
            said = health["Log"][-1]["Output"].strip() if health["Log"] else "nothing"
            raise RuntimeError(f"container failed to be in healthy state in {timeout_seconds} s; its probe said: {said}")
        time.sleep(0.5)
    raise RuntimeError("wait: expected a healthcheck, found none; add a healthcheck or leave out wait")


def build(api: Any, name: str, wanted: State) -> None:
    said = []
    with doing(f"build {name}"):
        for line in api.build(
            path=wanted["context"],
            dockerfile=wanted.get("dockerfile"),
            tag=name,
            buildargs=wanted.get("buildArgs"),
            labels={**wanted.get("label", {}), **wanted.get("labels", {})},
            network_mode=wanted.get("networkMode"),
            nocache=wanted.get("noCache", False),
            target=wanted.get("target"),
            rm=True,
            decode=True,
        ):
            said.append(line.get("stream", ""))
            if "error" in line:
                raise RuntimeError(f"Unable to build {name}: {line['error']}\n{''.join(said[-20:])}")


def have_image(api: Any, name: str, platform: str | None = None) -> None:
    try:
        api.inspect_image(name)
    except NotFound:
        with doing(f"find or pull image {name}"):
            api.pull(name, platform=platform or None)


def labelled(inputs: State) -> dict[str, str]:
    return {entry["label"]: entry["value"] for entry in inputs.get("labels", [])}


@contextmanager
def doing(what: str, name: str = "") -> Iterator[None]:
    """Say in a sentence what the engine refused."""
    try:
        yield
    except APIError as error:
        reason = f"Unable to {what}: {error.explanation or error}"
        if "already in use by container" in reason:
            reason += (
                "\nThe state of this stack does not have it; an interrupted `up` may have left it behind."
                f" If nothing else owns it, run `docker rm -f {name}`, then `up` again."
            )
        raise (GoneError if isinstance(error, NotFound) else RuntimeError)(reason) from error


def patiently(busy: str) -> Iterator[Any]:
    """Attempts, one a second for half a minute, while the engine says it is busy."""
    for attempt in range(30):
        done = True

        @contextmanager
        def once(last: bool = attempt == 29) -> Iterator[None]:
            nonlocal done
            try:
                yield
            except RuntimeError as error:
                if last or busy not in str(error):
                    raise
                done = False
                time.sleep(1)

        yield once()
        if done:
            return


def plugin() -> Plugin:
    engine = Engine()
    kinds = {"network:Network": Network, "volume:Volume": Volume, "remoteImage:RemoteImage": RemoteImage}
    resources = {f"docker:index/{token}": kind(engine) for token, kind in {**kinds, "container:Container": Container}.items()}
    return Plugin(resources, config=words("host"), connect=engine.connect)


if __name__ == "__main__":
    serve("pulumi-docker", plugin())
