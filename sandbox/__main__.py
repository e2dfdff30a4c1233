"""Make every part of the dev stack available, real ones first, and write down which is which."""

import fcntl
import os
import shutil
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox import debian, docker_engine, docker_images, parts, pulumi_cli, pulumi_plugins
from sandbox.kubernetes import cluster as kubernetes
from sandbox.progress import SetupError, heartbeat, report

ROOT = Path(__file__).parent.parent
STATE = ROOT / ".state"
INDENT = " " * 10


def main() -> None:
    """`python -m sandbox`, with `--require-real` where a stand-in is an error; `--down` stops the engine it started."""
    try:
        if sys.argv[1:] == ["--down"]:
            report("stopped" if docker_engine.stop_engine() else "no engine of the sandbox was running")
        elif sys.argv[1:] == ["--require-real"]:
            require_real(up())
        elif sys.argv[1:]:
            raise SetupError(f"Nothing, --require-real or --down was expected; found {sys.argv[1:]}.")
        else:
            up()
    except SetupError as error:
        sys.exit(str(error))


def up() -> list[parts.Part]:
    """Find or make every part, Pulumi's and Docker's at the same time."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "sandbox.lock").open("w") as lock, ThreadPoolExecutor() as lanes, heartbeat():
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would build everything twice
        pulumi_lane = lanes.submit(pulumi_parts)
        engine = docker_engine.ensure_engine()
        debian.offer(
            haproxy="haproxy", promtool="prometheus", amtool="prometheus-alertmanager"
        )  # the tests hold configurations against them
        images = docker_images.provide_all(engine, docker_images.of_all(ROOT))
        cli, *plugins = pulumi_lane.result()
        folders = [STATE / "bin"] if shutil.which("pulumi") else [STATE / "bin", Path(cli.used).parent]
        env = {"PATH_PREFIX": os.pathsep.join(map(str, folders)), "DOCKER_HOST": engine, **kubernetes.environment()}
        parts.write(STATE / "parts.json", env, images, [cli, *plugins])
    everything = [cli, *plugins, *images.values()]
    show(everything)
    return everything


def require_real(everything: list[parts.Part]) -> None:
    """SetupError that names every stand-in; a real program in another build or version is none."""
    if found := [part.part for part in everything if part.kind == "stand-in"]:
        raise SetupError(f"Every part was expected to be the real thing; found stand-ins for {', '.join(found)}. "
                         "Let this machine reach their official places, or do without REQUIRE_REAL.")  # fmt: skip


def pulumi_parts() -> list[parts.Part]:
    """The CLI first, then the plugins it needs."""
    cli = pulumi_cli.provide()
    return [cli, *pulumi_plugins.provide(cli.used, STATE / "bin")]


def show(everything: list[parts.Part]) -> None:
    """Print which part is real and which is a stand-in."""
    for part in everything:
        used = Path(part.used).name if part.used.startswith("/") else part.used
        text = f"{used}, wanted {part.wanted}" if used != part.wanted else used
        print(f"{part.kind:<9} {part.part}")
        print(textwrap.fill(
            f"{text}; {part.note}" if part.note else text, 80, initial_indent=INDENT, subsequent_indent=INDENT,
            break_long_words=False, break_on_hyphens=False,
        ))  # fmt: skip


if __name__ == "__main__":
    main()
