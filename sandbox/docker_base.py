"""The one Debian file system under every image of the sandbox."""

import tempfile
from pathlib import Path

import docker  # type: ignore[import-untyped]

from sandbox import debian
from sandbox.progress import run, say

TOLD = ("haproxy", "postgresql-15", "prometheus", "python3")  # whose version the summary tells
PACKAGES = ",".join((*TOLD, "python3-pip", "python3-venv", "ca-certificates", "wget"))
# LLVM only speeds PostgreSQL up, and the time zones come unpacked into 210 MB of single files.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/i18n/*", "/usr/lib/*/libLLVM*",
            "/usr/share/javascript/moment-timezone/*/*")  # fmt: skip
ASK = f"chroot \"$1\" dpkg-query -W -f 'LABEL debian.${{Package}}=${{Version}}\\n' {' '.join(TOLD)}"
INPUTS = f"{PACKAGES} {LEFT_OUT} {ASK}".encode()


def build(client: docker.DockerClient, repository: str, tag: str) -> None:
    """Bootstrap Debian and import it, its labels telling the version of each program that matters."""
    debian.ensure(mmdebstrap="mmdebstrap")
    say(f"bootstrapping Debian with {PACKAGES}")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        run("mmdebstrap", "--variant=minbase", "--aptopt=Acquire::Languages none", "--dpkgopt=force-unsafe-io",
            *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT), f"--include={PACKAGES}",
            f"--customize-hook={ASK} > {folder}/labels", '--customize-hook=rm -r "$1"/var/lib/postgresql/15',
            "bookworm", f"{folder}/base.tar")  # fmt: skip
        changes = ['CMD ["bash"]', *Path(folder, "labels").read_text().splitlines()]
        client.api.import_image_from_file(f"{folder}/base.tar", repository, tag, changes=changes)
