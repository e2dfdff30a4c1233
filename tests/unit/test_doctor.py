"""`make doctor` names what is missing and what to do, and fails when `make up` could not run."""

import shutil
from types import SimpleNamespace
from typing import Any

import pytest

from ops import doctor
from ops.parts import Part, Parts
from ops.registry import answers
from ops.stack import OperatorError, StackFiles

GIB = 2**30
KONG = Part(part="kong", wanted="kong:3.9.3", used="sandbox/kong:1", kind="stand-in")
QDRANT = Part(part="qdrant", wanted="qdrant:1", used="qdrant:1", kind="real")


class Machine:
    """A machine that has all of it; tests take something away."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.engine(memory_gib=8)
        self.taken_ports("")
        self.disk(free_gib=20)
        self.root(False)
        patch.setattr("ops.doctor.answers", lambda _: True)

    def engine(self, memory_gib: float | None) -> None:
        about = {"MemTotal": (memory_gib or 0) * GIB, "DockerRootDir": "/", "ServerVersion": "28.1", "NCPU": 4}

        def connect() -> Any:
            if memory_gib is None:
                raise OperatorError("expected a Docker engine, found none that answers; start Docker")
            return SimpleNamespace(info=lambda: about)

        self._patch.setattr("ops.doctor.connect_engine", connect)

    def taken_ports(self, said: str) -> None:
        def check(*_: Any) -> None:
            if said:
                raise OperatorError(said)

        self._patch.setattr("ops.doctor.check_ports", check)

    def disk(self, free_gib: float) -> None:
        self._patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_gib * GIB))

    def root(self, on_debian: bool) -> None:
        self._patch.setattr("ops.doctor._may_start_an_engine", lambda: on_debian)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def examined(stack: str = "dev", parts: Parts | None = None) -> tuple[dict[str, doctor.Line], bool]:
    """The lines by what they are about, and whether `make up` cannot run."""
    lines = doctor.examine(StackFiles(name=stack, parts=parts or Parts()))
    return {line.what: line for line in lines}, doctor.cannot_run(lines)


def test_a_machine_that_has_everything_passes(machine: Machine) -> None:
    lines, cannot = examined()
    assert not cannot
    assert [line.what for line in lines.values() if line.missing and line.what != "Pulumi CLI"] == []
    assert "28.1, 4 processors" in lines["Docker engine"].found


def take(machine: Machine, what: str) -> None:
    """The machine lacks one thing."""
    if what == "Docker engine":
        machine.engine(None)
    elif what == "memory":
        machine.engine(2)
    elif what == "disk":
        machine.disk(1)
    else:
        machine.taken_ports("1 port(s) of 127.0.0.1 are not free:\n  - gatewayHttpPort: port 8000")


@pytest.mark.parametrize(
    ("what", "said", "fatal"),
    [
        ("Docker engine", "start Docker", True),
        ("memory", "expected 4 GiB for the dev stack, found 2.0", False),
        ("disk", "expected 4 GiB free", True),
        ("ports", "gatewayHttpPort: port 8000", True),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(machine: Machine, what: str, said: str, fatal: bool) -> None:
    take(machine, what)
    lines, cannot = examined()
    assert said in lines[what].missing
    assert lines[what].text().startswith("missing")
    assert "for make up" in lines[what].text()
    assert cannot == fatal


def test_an_engine_that_make_up_would_start_is_no_obstacle(machine: Machine) -> None:
    machine.engine(None)
    machine.root(True)
    lines, cannot = examined()
    assert "make up installs and starts one" in lines["Docker engine"].missing
    assert not cannot


def test_a_stack_on_kubernetes_asks_its_cluster(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(_: Any) -> None:
        raise OperatorError("the cluster lacks 1 thing(s); nothing was changed:\n  - storage class fast")

    monkeypatch.setattr("ops.doctor.KubernetesPrerequisites.check", lacking)
    lines, cannot = examined("prod")
    assert "storage class fast" in lines["cluster"].missing
    assert cannot
    assert "Docker engine" not in lines


def test_a_stack_without_a_file_is_a_line_and_no_traceback(machine: Machine) -> None:
    lines, cannot = examined("nosuch")
    assert "expected a stack file Pulumi.nosuch.yaml" in lines["stack file"].missing
    assert cannot


def test_stand_ins_are_named_and_before_any_look_what_will_be(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert examined(parts=Parts(parts=(KONG, QDRANT)))[0]["parts"].found == "2 parts, stand-ins: kong"
    assert examined(parts=Parts(parts=(QDRANT,)))[0]["parts"].found == "1 parts, all real"
    assert "will be the real ones" in examined()[0]["images"].found
    monkeypatch.setattr("ops.doctor.answers", lambda _: False)
    assert "replaced by stand-ins" in examined()[0]["images"].found


def test_a_line_fits_eighty_columns(machine: Machine) -> None:
    for line in examined(parts=Parts(parts=(KONG,) * 40))[0].values():
        assert max(map(len, line.text().splitlines())) <= doctor.LINE_WIDTH, line.text()


def test_a_closed_port_does_not_answer() -> None:
    assert not answers("http://127.0.0.1:9/")
