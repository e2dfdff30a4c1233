"""The stand-in for the kubernetes plugin sees what the real one would see, and needs no cluster for it."""

from typing import Any

import pytest

from sandbox.plugins import kubernetes
from sandbox.plugins.bridge import UNKNOWN
from sandbox.plugins.kubernetes_diff import amount, normal
from sandbox.tests.test_plugins import Asked, kinds

Thing = dict[str, Any]
NOWHERE = {"kubeconfig": "/nowhere/kubeconfig", "namespace": "rag"}


@pytest.fixture
def asked() -> Any:
    """A plugin whose cluster cannot be reached, asked for one kind."""

    def of(token: str) -> Asked:
        plugin = kubernetes.Kubernetes()
        plugin._reach(NOWHERE)
        return Asked(plugin, f"kubernetes:{token}")

    return of


def deployment(**spec: Any) -> Thing:
    containers = [{"name": "c", "image": "a:1", "resources": {"requests": {"cpu": "0.5"}}}]
    described = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "a"}},
        "template": {"spec": {"containers": containers}},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {**described, **spec}}


def config_map(**data: str) -> Thing:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def secret(**texts: str) -> Thing:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": texts}


def lived(inputs: Thing, **more: Any) -> Thing:
    """As the server gives it back, with what it adds, and with what was asked for beside it."""
    metadata = {**inputs["metadata"], "uid": "u", "resourceVersion": "1"}
    return {**normal(inputs), "metadata": metadata, "status": {"x": 1}, **more, kubernetes.INPUTS: inputs}


def test_what_the_cluster_adds_is_no_difference(asked: Any) -> None:
    asked = asked("apps/v1:Deployment")
    inputs = asked.check(deployment())
    spec = {**inputs["spec"], "progressDeadlineSeconds": 600}
    assert not asked.diff(lived(inputs, spec=spec), inputs).changes


def test_drift_of_what_was_asked_for_is_a_difference(asked: Any) -> None:
    asked = asked("apps/v1:Deployment")
    inputs = asked.check(deployment())
    spec = {**inputs["spec"], "replicas": 9}
    assert kinds(asked.diff(lived(inputs, spec=spec), inputs)) == {"spec.replicas": "UPDATE"}


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"replicas": 3}, {"spec.replicas": "UPDATE"}),
        ({"replicas": UNKNOWN}, {"spec.replicas": "UPDATE"}),
        ({"selector": {"matchLabels": {"app": "b"}}}, {"spec.selector.matchLabels.app": "UPDATE_REPLACE"}),
        ({"paused": True}, {"spec.paused": "ADD"}),
        ({"paused": False}, {}),
    ],
)
def test_a_change_is_an_update_unless_the_field_is_for_life(asked: Any, changed: Thing, found: dict[str, str]) -> None:
    asked = asked("apps/v1:Deployment")
    inputs = asked.check(deployment())
    difference = asked.diff(lived(inputs), asked.check(deployment(**changed), inputs))
    assert kinds(difference) == found
    assert difference.delete_before_replace is any("REPLACE" in kind for kind in found.values())


@pytest.mark.parametrize(("mutable", "kind"), [("true", "UPDATE"), ("false", "UPDATE_REPLACE")])
def test_a_config_map_is_made_anew_unless_the_provider_lets_it_change(asked: Any, mutable: str, kind: str) -> None:
    asked = asked("core/v1:ConfigMap")
    asked.plugin._reach({**NOWHERE, "enableConfigMapMutable": mutable})
    inputs = asked.check(config_map(a="1"))
    assert kinds(asked.diff(lived(inputs), asked.check(config_map(a="2"), inputs))) == {"data.a": kind}


def test_a_secrets_texts_are_its_data(asked: Any) -> None:
    asked = asked("core/v1:Secret")
    inputs = asked.check(secret(a="1"))
    assert not asked.diff(lived(inputs), inputs).changes
    assert kinds(asked.diff(lived(inputs), asked.check(secret(a="2"), inputs))) == {"data.a": "UPDATE_REPLACE"}


def test_a_name_is_made_once_and_what_has_it_is_replaced_before_it_is_deleted(asked: Any) -> None:
    asked = asked("core/v1:ConfigMap")
    unnamed = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}}
    first = asked.check(unnamed)
    name = first["metadata"]["name"]
    assert name.startswith("it-")
    again = asked.check({**unnamed, "data": {"a": "2"}}, first)
    assert again["metadata"]["name"] == name
    difference = asked.diff(lived(first), again)
    assert difference.replaces
    assert not difference.delete_before_replace


def test_things_are_in_the_providers_namespace_and_some_are_in_none(asked: Any) -> None:
    assert asked("core/v1:ConfigMap").check(config_map())["metadata"]["namespace"] == "rag"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    assert "namespace" not in asked("core/v1:Namespace").check(space)["metadata"]


def test_without_a_cluster_a_preview_works_and_nothing_else_does(asked: Any) -> None:
    asked = asked("core/v1:ConfigMap")
    inputs = asked.check(config_map(a="1"))
    assert asked.create(inputs, preview=True) == (None, inputs)
    with pytest.raises(RuntimeError, match="cluster is unreachable: expected a kubeconfig"):
        asked.create(inputs)
    with pytest.raises(RuntimeError, match="cluster is unreachable"):
        asked.read("rag/c", {}, inputs)


@pytest.mark.parametrize("token", ["helm.sh/v3:Release", "yaml:ConfigFile"])
def test_charts_and_yaml_files_are_refused_by_name(asked: Any, token: str) -> None:
    with pytest.raises(ValueError, match="not supported by this stand-in"):
        asked(token).check({})


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [("0.5", "500m", True), ("1Gi", "1024Mi", True), (1, "1", True), ("1G", "1Gi", False), ("1x", "1", False)],
)
def test_amounts_are_compared_as_amounts(one: object, other: object, alike: bool) -> None:
    assert (amount(one) == amount(other)) is alike
