"""The engine's images, in every node's containerd: imported once and linked, so that three cost little more."""

import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker

from sandbox.kubernetes import machines
from sandbox.kubernetes.node import PAUSE, SOCKET
from sandbox.kubernetes.places import HOME, NODES
from sandbox.progress import report, run

COREDNS = "docker.io/sandbox/coredns:1"
SEED = HOME / "seed"  # the containerd whose content the nodes' begin with
LOADED = HOME / "images.json"
DATABASES = ("metadata.db", "meta.db")  # written by each containerd, so never shared


def load(engine: str, binaries: Path, names: Iterable[str]) -> None:
    """Bring the images of these names, and the cluster's own two, into every node that has them not yet."""
    client = docker.DockerClient(base_url=engine, timeout=600)
    for program, image in (("pause", PAUSE), ("coredns", COREDNS)):
        _wrap(client, binaries / program, image)
    wanted = {name: str(client.images.get(name).id) for name in (PAUSE, COREDNS, *names)}
    loaded = json.loads(LOADED.read_text()) if LOADED.exists() else {}
    if missing := [name for name, made in wanted.items() if loaded.get(name) != made]:
        report(f"loading {len(missing)} images into the nodes")
        with tempfile.TemporaryDirectory(dir=HOME) as folder:
            archive = f"{folder}/images.tar"
            run("docker", "--host", engine, "save", "--output", archive, *missing)
            _import(archive)
        LOADED.write_text(json.dumps(loaded | wanted))


def link() -> None:
    """Give every node that has none yet a containerd root that begins as the seed's."""
    for node in NODES:
        root = node.home / "containerd"
        if not root.exists():
            node.home.mkdir(exist_ok=True)
            run("cp", "--archive", "--link", str(SEED), str(root))
            for database in (path for name in DATABASES for path in SEED.rglob(name)):
                own = root / database.relative_to(SEED)
                own.unlink()
                shutil.copyfile(database, own)


def _import(archive: str) -> None:
    """Into the seed while no node runs, else into each node that does."""
    running = [node for node in NODES if machines.runs(node.name)]
    if not running:
        return _import_into_seed(archive)
    with ThreadPoolExecutor() as lanes:
        for node in running:
            where = ("nsenter", f"--mount=/proc/{machines.init(node.name)}/ns/mnt")
            lanes.submit(run, *where, "ctr", "--address", SOCKET, "--namespace", "k8s.io", "images", "import", archive)
    return None


def _import_into_seed(archive: str) -> None:
    with tempfile.TemporaryDirectory() as state:
        socket = f"{state}/containerd.sock"
        command = ["containerd", "--root", str(SEED), "--state", f"{state}/run", "--address", socket]
        seed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            machines.until("a containerd to import into", Path(socket).exists)
            run("ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", archive)
        finally:
            seed.terminate()
            seed.wait()


def _wrap(client: docker.DockerClient, program: Path, image: str) -> None:
    """An image that is one static program."""
    made = str(int(program.stat().st_mtime))
    repository, tag = image.removeprefix("docker.io/").split(":")
    if any(known.labels.get("made") == made for known in client.images.list(f"{repository}:{tag}")):
        return
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(program, arcname=program.name)
    client.api.import_image_from_data(
        archive.getvalue(), repository, tag, changes=[f'ENTRYPOINT ["/{program.name}"]', f"LABEL made={made}"]
    )
