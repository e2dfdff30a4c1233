"""On a real Kubernetes the stand-in for the plugin shares objects, waits, fails with a reason, and deletes."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest
from pulumi import automation

from sandbox.kubernetes.api import Api, Refused, Unreachable
from sandbox.polling import poll
from sandbox.tests.test_plugins import wrapper

pytestmark = pytest.mark.live
PAUSE = "docker.io/sandbox/pause:1"
Thing = dict[str, Any]


@pytest.fixture(scope="module")
def api() -> Api:
    """The sandbox's own cluster, for its images are named here."""
    if "rag-platform-sandbox" not in os.environ.get("KUBECONFIG", ""):
        pytest.skip("expected the sandbox's own cluster, found none or another; make k8s-up")
    try:
        found = Api(os.environ.get("KUBECONFIG", ""))
        found.call("GET", "/version")
    except (Unreachable, Refused) as error:
        pytest.skip(f"no Kubernetes: {error}; make k8s-up")
    return found


class Small:
    """A small stack of a configuration, a secret and two pods, whose settings a test changes."""

    def __init__(self, folder: Path, namespace: str) -> None:
        self.image, self.replicas, self.seconds, self.word, self.namespace = PAUSE, 2, "120s", "one", namespace
        self.state = folder / ".pulumi/stacks/small/live.json"
        backend = automation.ProjectBackend(f"file://{folder}")
        settings = automation.ProjectSettings("small", "python", backend=backend)
        options = automation.LocalWorkspaceOptions(work_dir=str(folder), project_settings=settings)
        self.stack = automation.create_or_select_stack("live", "small", self.program, opts=options)

    def program(self) -> None:
        provider = k8s.Provider("cluster", namespace=self.namespace, kubeconfig=os.environ.get("KUBECONFIG"))
        ours = pulumi.ResourceOptions(provider=provider)
        space = k8s.core.v1.Namespace("space", metadata={"name": self.namespace}, opts=ours)
        inside = pulumi.ResourceOptions(provider=provider, depends_on=[space])
        k8s.core.v1.ConfigMap("config", data={"word": self.word}, opts=inside)
        k8s.core.v1.Secret("secret", string_data={"word": pulumi.Output.secret("unspeakable")}, opts=inside)
        container = {"name": "pause", "image": self.image, "imagePullPolicy": "Never"}
        pods = k8s.apps.v1.Deployment(
            "pods",
            metadata={"name": "pods", "labels": {"set-by": "the-program"}},
            spec={
                "replicas": self.replicas,
                "selector": {"matchLabels": {"app": "pods"}},
                "template": {"metadata": {"labels": {"app": "pods"}}, "spec": {"containers": [container]}},
            },
            opts=pulumi.ResourceOptions.merge(
                inside, pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(self.seconds, self.seconds))
            ),
        )
        pulumi.export("ready", pods.status.apply(lambda status: status and status["ready_replicas"]))

    def changes(self) -> dict[str, int]:
        return {str(kind): count for kind, count in self.stack.preview().change_summary.items() if kind != "same"}


@pytest.fixture
def small(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Small]:
    wrapper(tmp_path, "kubernetes")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "passphrase")
    made = Small(tmp_path, f"plugtest-{time.time_ns() % 10**8}")
    yield made
    made.stack.destroy(run_program=True)
    with pytest.raises(Refused, match="not found"):
        api.call("GET", api.path("v1", "Namespace", name=made.namespace))


def deployment(api: Api, small: Small) -> Thing:
    return api.call("GET", api.path("apps/v1", "Deployment", small.namespace, "pods"))


def owned_label(api: Api, small: Small, value: str, *, force: bool) -> None:
    """Another field manager sets a label that the program sets."""
    metadata = {"name": "pods", "namespace": small.namespace, "labels": {"set-by": value, "extra": "theirs"}}
    api.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}, "another", force=force)


def test_up_waits_for_ready_keeps_secrets_and_changes_nothing_twice(api: Api, small: Small) -> None:
    assert set(small.changes()) == {"create"}
    assert small.stack.up().outputs["ready"].value == small.replicas
    assert "unspeakable" not in small.state.read_text()
    assert small.changes() == {}
    small.stack.refresh()
    assert small.changes() == {}
    small.word, small.replicas = "two", 3
    assert small.changes() == {"replace": 1, "update": 1}
    assert small.stack.up().outputs["ready"].value == 3
    [config] = api.list("v1", "ConfigMap", small.namespace, fieldSelector="metadata.name!=kube-root-ca.crt")
    assert config["data"] == {"word": "two"}, "the replaced one is gone"


def test_fields_of_others_are_left_alone_and_a_conflict_is_reported(api: Api, small: Small) -> None:
    small.stack.up()
    with pytest.raises(Refused, match="conflict"):
        owned_label(api, small, "another", force=False)
    owned_label(api, small, "another", force=True)
    small.replicas = 3
    with pytest.raises(automation.CommandError, match=r"(?s)field conflict detected.*another"):
        small.stack.up()
    owned_label(api, small, "the-program", force=False)
    small.stack.up()
    labels = deployment(api, small)["metadata"]["labels"]
    assert labels == {"set-by": "the-program", "extra": "theirs"}


def test_a_pod_that_cannot_start_fails_in_time_with_the_reason_and_the_next_up_goes_on(api: Api, small: Small) -> None:
    small.image, small.seconds = "docker.io/sandbox/nowhere:1", "5s"
    with pytest.raises(automation.CommandError, match=r"(?s)timed out.*ErrImageNeverPull"):
        small.stack.up()
    assert "unspeakable" not in small.state.read_text()
    small.image, small.seconds = PAUSE, "120s"
    assert small.stack.up().outputs["ready"].value == small.replicas
    assert small.changes() == {}


def test_an_object_that_exists_is_not_taken_over(api: Api, small: Small) -> None:
    theirs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": small.namespace}}
    api.apply(theirs, "another")
    with pytest.raises(automation.CommandError, match="already exists in the cluster"):
        small.stack.up()
    api.call("DELETE", api.path("v1", "Namespace", name=small.namespace))

    def gone() -> bool:
        return small.namespace not in [one["metadata"]["name"] for one in api.list("v1", "Namespace")]

    poll(gone, 120, lambda: AssertionError("the namespace is still there"))
    small.stack.up()


def test_what_was_removed_by_hand_is_seen_by_a_refresh_and_made_again(api: Api, small: Small) -> None:
    small.stack.up()
    api.call("DELETE", api.path("apps/v1", "Deployment", small.namespace, "pods"))
    small.stack.refresh()
    assert small.changes() == {"create": 1}
    small.stack.up()
    assert json.loads(small.state.read_text())
    assert deployment(api, small)["status"]["readyReplicas"] == small.replicas
