"""kube-score finds nothing in the objects of the prod stack but what has a reason."""

import copy
import json
import subprocess
from collections.abc import Collection
from functools import cache
from typing import Any

import pytest

from sandbox.tests import product
from sandbox.tests.go_checkers import KUBE_SCORE, provide

OFF = {
    "container-image-pull-policy": "images are pinned; to ask the registry at each start makes a restart depend on it",
    "container-security-context-user-group-id": "the users are those that the images were made for",
    "container-ephemeral-storage-request-and-limit": "the root is read-only, and every emptyDir has a sizeLimit",
    "pod-probes-identical": "liveness asks the same path, and restarts after a minute without an answer only",
    "deployment-replicas": "one Valkey, Grafana, exporter and ingest role each: their clients live without them",
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints say the same, and for machines and zones",
    "deployment-targeted-by-hpa-does-not-have-replicas-configured": "open: docs/threats.md",
}


@cache
def findings(manifests: str, off: frozenset[str]) -> tuple[str, ...]:
    ignored = [word for test in sorted(off) for word in ("--ignore-test", test)]
    command = [provide(KUBE_SCORE), "score", "--kubernetes-version", "v1.34", "--output-format", "ci", *ignored, "-"]
    done = subprocess.run(command, input=manifests, capture_output=True, text=True, check=False)
    assert "[OK]" in done.stdout, done.stdout + done.stderr  # it has read them
    return tuple(line for line in done.stdout.splitlines() if not line.startswith(("[OK]", "[SKIPPED]")))


def complaints(objects: list[dict[str, Any]], off: Collection[str]) -> tuple[str, ...]:
    return findings("\n---\n".join(map(json.dumps, objects)), frozenset(off))


def test_nothing_is_found_in_the_prod_stack() -> None:
    assert complaints(product.manifests(), OFF) == ()


@pytest.mark.parametrize("test", OFF)
def test_a_rule_that_is_off_is_off_for_something(test: str) -> None:
    """One that would pass by now is switched on again."""
    assert complaints(product.manifests(), OFF.keys() - {test})


def test_a_mistake_would_be_found() -> None:
    objects = copy.deepcopy(product.manifests())
    [kong] = [each for each in objects if each["kind"] == "Deployment" and each["metadata"]["name"] == "kong"]
    kong["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privileged"] = True
    assert any("privileged" in line for line in complaints(objects, OFF))
