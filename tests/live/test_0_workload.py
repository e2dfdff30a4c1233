"""The promises of a Workload, asked inside the running container: one tiny workload, on Docker and on Kubernetes."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pytest
from kubernetes.client import ApiException
from kubernetes.config import ConfigException
from kubernetes.stream import stream
from pulumi import ResourceOptions, automation
from urllib3.exceptions import HTTPError

from access.docker_engine import MOST_PROCESSES, docker_client
from access.kubernetes import kube
from ops.parts import load_parts
from ops.preflight import connect_engine
from ops.stack import OperatorError, use_parts
from platforms.connect import connect
from platforms.workload import HttpProbe, Port, Resources, Workload
from settings import Settings
from tests.live.conftest import SLOT

pytestmark = pytest.mark.live
PREFIX = f"rag-contract{SLOT or ''}"
PORT, MEMORY_MIB, GRACE_SECONDS = 8080, 96, 20
LEAVING_SECONDS = 3  # what it needs to end well: more than none, less than its grace
SCRATCH = ("/scratch/deep", "/tmp")
SERVE = f"""
import http.server, signal, sys, time
def leave(*_):
    time.sleep({LEAVING_SECONDS})
    open("/data/left", "a").write("well")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
http.server.HTTPServer(("", {PORT}), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
# What a process of the container finds; whatever can be written gets a file of that name.
LOOK = """
import json, os, socket, sys
def attempt(do):
    try: return do()
    except OSError as error: return type(error).__name__
def text(path): return open(path).read()
def first(*paths): return next((text(path).strip() for path in paths if os.path.exists(path)), "")
def write(path): open(path, "a").write("x"); return "written"
status = dict(line.split(":", 1) for line in text("/proc/1/status").splitlines())
def folder(path):
    holds = attempt(lambda: sorted(os.listdir(path)))
    return {"holds": holds, "marked": attempt(lambda: write(path + "/mark"))}
files = ("/etc/tiny/plain", "/run/secrets/tiny")
print(json.dumps({
    "env": os.environ.get("SPOKEN"), "host": socket.gethostname(), "user": os.getuid(),
    "files": {path: {"content": attempt(lambda: text(path)), "change": attempt(lambda: write(path)),
                     "mode": oct(os.stat(path).st_mode & 0o777)} for path in files},
    "folders": {path: folder(path) for path in sys.argv[1:]},
    "capabilities": int(status["CapEff"], 16), "no_new_privileges": status["NoNewPrivs"].strip(),
    "seccomp": status["Seccomp"].strip(), "left": os.path.exists("/data/left"),
    "memory": first("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    "processes": first("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"),
}))
"""
FOLDERS = ("/data", "/work", *SCRATCH)
Found = Mapping[str, Any]


def tiny(image: str, spoken: str) -> Workload:
    """Every promise in one workload; another `spoken` is another container."""
    return Workload(
        image=image,
        command=("python3", "-c", SERVE),
        env={"SPOKEN": spoken},
        ports=(Port(number=PORT),),
        files={"/etc/tiny/plain": "plain"},
        secret_files={"/run/secrets/tiny": pulumi.Output.secret("hidden")},
        data_dir="/data",
        data_gib=1,
        work_dir="/work",
        work_gib=1,
        scratch_dirs=SCRATCH,
        readiness=HttpProbe(port=PORT, path="/"),
        grace_seconds=GRACE_SECONDS,
        resources=Resources(memory_mib=MEMORY_MIB, cpus=0.2),
    )


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """A stack of nothing but that workload, and a process beside it in its container."""

    settings: Settings
    image: str
    folder: Path
    execute: Callable[[list[str]], str]

    def up(self, spoken: str) -> None:
        self._stack(spoken).up(on_output=print)

    def down(self) -> None:
        self._stack("").destroy(on_output=print)

    def look(self) -> Found:
        found: Found = json.loads(self.execute(["python3", "-c", LOOK, *FOLDERS]))
        return found

    def _stack(self, spoken: str) -> automation.Stack:
        def program() -> None:
            platform = connect(self.settings.stack, self.settings.kubernetes, self.settings.image.node_exporter)
            platform.run("tiny", tiny(self.image, spoken), ResourceOptions())

        environment = {
            "PULUMI_BACKEND_URL": f"file://{self.folder}",
            "PULUMI_CONFIG_PASSPHRASE": "only a test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        return automation.create_or_select_stack(
            stack_name="tiny",
            project_name="contract",
            program=program,
            opts=automation.LocalWorkspaceOptions(work_dir=str(self.folder), env_vars=environment),
        )


def on_docker(folder: Path) -> Tiny:
    parts = load_parts()
    settings = Settings.from_file(Path("Pulumi.dev.yaml"), {**parts.config, "namePrefix": PREFIX, "protectData": False})

    def execute(command: list[str]) -> str:
        done = docker_client().containers.get(f"{PREFIX}-tiny-0").exec_run(command)
        assert done.exit_code == 0, done.output
        return str(done.output.decode())

    try:
        connect_engine()
    except OperatorError as error:
        pytest.skip(str(error))
    return Tiny(settings=settings, image=settings.image.python, folder=folder, execute=execute)


def on_kubernetes(folder: Path) -> Tiny:
    overrides = {**load_parts().config, "namePrefix": PREFIX, "protectData": False, "kubernetesNamespace": PREFIX}
    settings = Settings.from_file(Path("Pulumi.prod.yaml"), overrides)
    try:
        core = kube.core(settings.kubernetes.context)
        core.list_node()
    except (kube.NoCluster, ConfigException, ApiException, HTTPError) as error:
        pytest.skip(f"no Kubernetes: {error}; make k8s-up")

    def execute(command: list[str]) -> str:
        fresh = kube.core(settings.kubernetes.context)  # `stream` patches the client
        answer = stream(
            fresh.connect_get_namespaced_pod_exec, "tiny-0", PREFIX, container="tiny", command=command, stdout=True,
            stderr=True, _preload_content=False,
        )  # fmt: skip
        answer.run_forever(timeout=30)
        return str(answer.read_stdout())

    return Tiny(settings=settings, image=str(settings.image.rag), folder=folder, execute=execute)


PLATFORMS = {"docker": on_docker, "kubernetes": on_kubernetes}


@pytest.fixture(scope="module", params=PLATFORMS)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Found, Found]]:
    """What is found in the first container, and in the one that replaces it."""
    use_parts(load_parts())
    live = PLATFORMS[request.param](tmp_path_factory.mktemp(request.param))
    try:
        live.up("two words")
        first = live.look()
        live.up("other words")
        yield first, live.look()
    finally:
        live.down()


Seen = tuple[Found, Found]


def test_it_is_called_by_its_name_and_number_and_has_its_environment(seen: Seen) -> None:
    assert [each["env"] for each in seen] == ["two words", "other words"]
    assert seen[0]["host"] == "tiny-0"


def test_files_and_secrets_are_there_and_read_only(seen: Seen) -> None:
    for found in seen:
        assert {path: file["content"] for path, file in found["files"].items()} == {
            "/etc/tiny/plain": "plain",
            "/run/secrets/tiny": "hidden",
        }
        for file in found["files"].values():
            assert file["change"] in ("PermissionError", "OSError"), "a read-only file was changed"
            assert file["mode"] in ("0o444", "0o440")


def test_data_lasts_and_can_be_written(seen: Seen) -> None:
    first, second = (found["folders"]["/data"] for found in seen)
    assert first["marked"] == second["marked"] == "written"
    assert {"mark", "left"} <= set(second["holds"])


def test_work_and_scratch_can_be_written_and_are_empty_in_each_container(seen: Seen) -> None:
    for found in seen:
        for path in ("/work", *SCRATCH):
            holds = [name for name in found["folders"][path]["holds"] if name != "lost+found"]
            assert (found["folders"][path]["marked"], holds) == ("written", []), path


def test_a_process_gets_its_grace_before_it_is_killed(seen: Seen) -> None:
    first, second = seen
    assert not first["left"]
    assert second["left"], "its end was not waited for"


def test_a_process_has_no_privilege_and_gains_none(seen: Seen) -> None:
    for found in seen:
        assert (found["capabilities"], found["no_new_privileges"]) == (0, "1")


def test_its_memory_is_bounded(seen: Seen) -> None:
    assert {int(found["memory"]) for found in seen} == {MEMORY_MIB * 1024 * 1024}


def test_its_user_and_its_processes_are_bounded_where_the_platform_can(
    seen: Seen, request: pytest.FixtureRequest
) -> None:
    """On Docker the user is the image's; on Kubernetes the kubelet bounds processes (`podPidsLimit`)."""
    if "kubernetes" in request.node.callspec.id:
        assert {found["user"] for found in seen} == {1000}
    else:
        assert {found["processes"] for found in seen} == {str(MOST_PROCESSES)}
