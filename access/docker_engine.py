"""Running one container to its end on the local Docker engine; what `OneShot` does, without Pulumi."""

import io
import tarfile
from collections.abc import Mapping
from typing import Any

import docker
import requests
from docker.constants import MINIMUM_DOCKER_API_VERSION
from docker.errors import DockerException

TIMEOUT_SECONDS = 600
MOST_PROCESSES = 2048  # and threads, of one container
LABEL = "rag-platform"  # of every object of a stack; its value is the stack's prefix


def of_stack(prefix: str) -> dict[str, str]:
    """The engine's filter for the objects of the stack with that prefix."""
    return {"label": f"{LABEL}={prefix}"}


def docker_client(timeout_seconds: float = 60) -> docker.DockerClient:
    """A client of the engine at DOCKER_HOST, else of the local one, by no proxy of the environment.

    DockerException when none answers.
    """
    # Without a version the client asks the engine for it at once, before the proxy can be switched off.
    asking = _direct(MINIMUM_DOCKER_API_VERSION, timeout_seconds)
    try:
        version = asking.api.version(api_version=False)["ApiVersion"]
    except requests.RequestException as error:
        raise DockerException(f"no engine answers: {error}") from error
    return _direct(version, timeout_seconds)


def _direct(version: str, timeout_seconds: float) -> docker.DockerClient:
    client = docker.from_env(version=version, timeout=timeout_seconds)
    client.api.trust_env = False
    return client


def bound_processes(container: str) -> None:
    """Bound the number of processes and threads of a container; RuntimeError when the engine refuses."""
    api = docker_client().api
    answer = api.post(f"{api.base_url}/containers/{container}/update", json={"PidsLimit": MOST_PROCESSES})
    if not answer.ok:
        raise RuntimeError(
            f"expected the engine to bound the processes of {container} to {MOST_PROCESSES}, found "
            f"{answer.text.strip()}; see that the kernel has the pids controller (docker info)"
        )


def run_to_end(job: Mapping[str, Any]) -> None:
    """Return when the container exited 0; RuntimeError with the end of its log when it did not."""
    client = docker_client()
    _remove(client, job["name"])  # of an interrupted run
    container = client.containers.create(
        job["image"],
        name=job["name"],
        command=job["command"],
        environment=dict(job["env"]),
        network=job["network"],
        volumes={job["volume"]: {"bind": job["volume_path"], "mode": "rw"}} if job["volume"] else {},
        labels={LABEL: job["label"]},
        cap_drop=["ALL"],
        pids_limit=MOST_PROCESSES,
        security_opt=["no-new-privileges"],
    )
    try:
        if job["files"]:
            container.put_archive("/", archive(job["files"]))
        await_end(container, f"{job['name']} ({' '.join(job['command'])})")
    finally:
        container.remove(force=True)  # one that stayed would hold its volume


def await_end(container: Any, name: str) -> None:
    """Start it, and return when it exited 0; RuntimeError with the end of its log when it did not."""
    container.start()
    if status := _status(container):
        log = container.logs(tail=10).decode(errors="replace").strip()
        raise RuntimeError(
            f"expected {name} to end with 0, found {status}: {log}. Mend that and run the same command again"
        )


def _status(container: Any) -> int | str:
    """The exit code, or the reason why there is none."""
    try:
        return int(container.wait(timeout=TIMEOUT_SECONDS)["StatusCode"])
    except requests.RequestException:
        return f"no end after {TIMEOUT_SECONDS} s"


def _remove(client: docker.DockerClient, name: str) -> None:
    for container in client.containers.list(all=True, filters={"name": f"^/{name}$"}):
        container.remove(force=True)


def archive(files: Mapping[str, str]) -> bytes:
    """Path -> content as the tar file that a container takes; read-only for all."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            data = content.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(data), 0o444
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
