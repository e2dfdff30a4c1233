"""The one Debian file system under every image of the sandbox."""

import hashlib
import tempfile
from pathlib import Path

import docker

from sandbox import debian
from sandbox.docker_engine import prove_names
from sandbox.progress import run, working

REPORTED = (
    "haproxy",
    "postgresql-15",
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-blackbox-exporter",
    "prometheus-node-exporter",
    "prometheus-postgres-exporter",
    "prometheus-redis-exporter",
    "python3",
)  # the summary names their versions
PACKAGES = ",".join((*REPORTED, "python3-pip", "python3-venv", "ca-certificates", "wget"))
# LLVM only speeds PostgreSQL up, and the time zones come unpacked into 210 MB of single files.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/i18n/*", "/usr/lib/*/libLLVM*",
            "/usr/share/javascript/moment-timezone/*/*")  # fmt: skip
ASK = f"chroot \"$1\" dpkg-query -W -f 'LABEL debian.${{Package}}=${{Version}}\\n' {' '.join(REPORTED)}"
IMAGE = f"sandbox/base:{hashlib.sha256(repr((PACKAGES, LEFT_OUT, ASK)).encode()).hexdigest()[:8]}"


def ensure(client: docker.DockerClient) -> None:
    """Unless the engine has it, bootstrap Debian and import it, with the versions that matter as labels."""
    if client.images.list(IMAGE):
        return
    debian.ensure(mmdebstrap="mmdebstrap")
    with working("bootstrapping Debian for the images"), tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        run("mmdebstrap", "--variant=minbase", "--aptopt=Acquire::Languages none", "--dpkgopt=force-unsafe-io",
            *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT), f"--include={PACKAGES}",
            f"--customize-hook={ASK} > {folder}/labels", '--customize-hook=rm -r "$1"/var/lib/postgresql/15',
            "bookworm", f"{folder}/base.tar")  # fmt: skip
        changes = ['CMD ["bash"]', *Path(folder, "labels").read_text().splitlines()]
        client.api.import_image_from_file(f"{folder}/base.tar", *IMAGE.split(":"), changes=changes)
    prove_names(client, IMAGE)
