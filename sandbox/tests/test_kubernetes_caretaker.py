"""The caretaker of the sandbox's Kubernetes."""

from typing import Any

import pytest

from sandbox.kubernetes import caretaker
from sandbox.kubernetes.places import NODES, Node


class Empty:
    """An API server with nothing in it."""

    def list(self, *_: Any) -> list[Any]:
        return []


def test_chains_that_could_not_be_written_are_written_in_the_next_round(monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[str] = []
    busy = [NODES[1].name]

    def within(node: Node, program: str, *_: str, stdin: str = "") -> int:
        if program == "iptables-restore":
            restored.append(node.name)
            return int(node.name in busy)
        return 0

    monkeypatch.setattr(caretaker, "_within", within)
    written = dict.fromkeys(NODES, "")
    caretaker.enforce(Empty(), written)  # type: ignore[arg-type]
    busy.clear()
    caretaker.enforce(Empty(), written)  # type: ignore[arg-type]
    caretaker.enforce(Empty(), written)  # type: ignore[arg-type]
    assert restored == [*(node.name for node in NODES), NODES[1].name]
