"""The stand-in plugins change, replace, keep quiet and fail where the real ones do."""

import asyncio
import glob
import json
import os
import string
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker
import pytest
from pulumi import automation
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.proto import ErrorResourceInitFailed, provider_pb2, status_pb2

from sandbox.plugins import bridge, docker, kong, random
from sandbox.plugins.bridge import DEFAULTS, UNKNOWN, Plugin, Resource, Schema, State, plain, properties, words

CONTAINER, NETWORK = "docker:index/container:Container", "docker:index/network:Network"
PASSWORD = "random:index/randomPassword:RandomPassword"
ROOT = Path(__file__).parents[2]


class Asked:
    """A plugin, asked for one resource type as the engine asks."""

    def __init__(self, plugin: Plugin, token: str) -> None:
        self.plugin, self.urn = plugin, f"urn:pulumi:dev::rag::rag:components:Above${token}::it"

    def check(self, inputs: State, olds: State | None = None) -> State:
        return plain(self.checked(inputs, olds).inputs)  # type: ignore[no-any-return]

    def failures(self, inputs: State) -> dict[str, str]:
        return {failure.property: failure.reason for failure in self.checked(inputs).failures or []}

    def checked(self, inputs: State, olds: State | None = None) -> protocol.CheckResponse:
        request = protocol.CheckRequest(self.urn, properties(olds or {}), properties(inputs), b"seed")
        return asyncio.run(self.plugin.check(request))

    def diff(self, state: State, news: State) -> protocol.DiffResponse:
        request = protocol.DiffRequest(self.urn, "id", properties(state), properties(news), [])
        return asyncio.run(self.plugin.diff(request))

    def create(self, inputs: State, preview: bool = False) -> tuple[str | None, State]:
        request = protocol.CreateRequest(self.urn, properties(inputs), 0, preview)
        made = asyncio.run(self.plugin.create(request))
        return made.resource_id, plain(made.properties)

    def read(self, resource_id: str, state: State, inputs: State) -> tuple[str | None, State, State]:
        request = protocol.ReadRequest(self.urn, resource_id, properties(state), properties(inputs))
        found = asyncio.run(self.plugin.read(request))
        return found.resource_id, plain(found.properties), plain(found.inputs)

    def update(self, resource_id: str, olds: State, news: State) -> State:
        request = protocol.UpdateRequest(self.urn, resource_id, properties(olds), properties(news), 0, [], False)
        return plain(asyncio.run(self.plugin.update(request)).properties)  # type: ignore[no-any-return]

    def up(self, inputs: State) -> tuple[str, State, State]:
        """Id, state and checked inputs of a new resource."""
        checked = self.check(inputs)
        resource_id, state = self.create(checked)
        assert resource_id
        return resource_id, state, checked


def kinds(diff: protocol.DiffResponse) -> dict[str, str]:
    return {name: change.kind.name for name, change in diff.detailed_diff.items()}


# Containers: what a change means

HEALTH = {"tests": ["CMD", "true"], "interval": "2s", "timeout": "5s", "startPeriod": "0s"}


@pytest.fixture
def container() -> Asked:
    return Asked(docker.plugin(), CONTAINER)


@pytest.mark.parametrize(
    ("name", "old", "new", "kind"),
    [
        ("image", "a:1", "a:2", "UPDATE_REPLACE"),
        ("image", "a:1", UNKNOWN, "UPDATE_REPLACE"),
        ("envs", ["A=1"], ["A=2"], "UPDATE_REPLACE"),
        ("envs", ["A=1", "B=2"], ["B=2", "A=1"], None),
        ("command", ["a", "b"], ["b", "a"], "UPDATE_REPLACE"),
        ("command", ["a"], None, None),
        ("uploads", [{"file": "/a", "content": "1"}], [{"file": "/a", "content": "2"}], "UPDATE_REPLACE"),
        ("uploads", [{"file": "/a", "content": "1"}], None, "DELETE_REPLACE"),
        ("uploads", [{"file": "/a", "content": "1", "executable": False}], [{"file": "/a", "content": "1"}], None),
        ("networksAdvanced", [{"name": "n", "aliases": ["a", "b"]}], [{"name": "n", "aliases": ["b", "a"]}], None),
        ("networksAdvanced", [{"name": "n", "aliases": ["a"]}], [{"name": "n", "aliases": ["b"]}], "UPDATE_REPLACE"),
        ("capabilities", None, {"drops": ["ALL"]}, "ADD_REPLACE"),
        ("memory", 256, 512, "UPDATE"),
        ("memorySwap", 512, None, "DELETE"),
        ("restart", "no", "always", "UPDATE"),
        ("destroyGraceSeconds", None, 10, "ADD"),
        ("healthcheck", HEALTH, {**HEALTH, "interval": "3s"}, "UPDATE"),
        ("healthcheck", {**HEALTH, "startInterval": "0s", "retries": 0}, HEALTH, None),
        ("healthcheck", HEALTH, UNKNOWN, "UPDATE"),
    ],
)
def test_a_changed_container_is_updated_or_replaced(
    container: Asked, name: str, old: Any, new: Any, kind: str | None
) -> None:
    before = container.check({"image": "a:1", "name": "c", name: old})
    diff = container.diff(before, container.check({"image": "a:1", "name": "c", name: new}))
    assert kinds(diff) == ({name: kind} if kind else {})
    assert diff.changes is bool(kind)
    assert diff.delete_before_replace is ("REPLACE" in (kind or ""))


def test_what_only_the_provider_cannot_do_is_refused_by_name(container: Asked) -> None:
    uploads = [{"file": "/a", "content": "1", "owner": "bob"}]
    failures = container.failures({"image": "a", "cpus": "0.5", "uploads": uploads})
    assert failures.keys() == {"cpus", "owner"}
    assert "memory" in failures["cpus"]
    assert container.failures({"memory": 5}) == {"image": "expected image, found nothing"}
    assert container.failures({"image": "a", "uploads": [{"file": "/a", "content": "1"}]}) == {}


def test_a_default_sticks_to_its_old_value(container: Asked) -> None:
    first = container.check({"image": "a", "start": False})
    assert (first["restart"], first["mustRun"], first["name"]) == ("no", True, container.check({"image": "b"})["name"])
    assert "mustRun" in first[DEFAULTS]
    assert "start" not in first[DEFAULTS]
    stopped = {**first, "mustRun": False, "start": False}
    assert container.check({"image": "a"}, stopped)["mustRun"] is False
    assert container.check({"image": "a", "mustRun": True}, stopped)["mustRun"] is True
    assert container.check({"image": "a"}, stopped)["start"] is True, "it was not a default"
    del stopped[DEFAULTS]
    assert container.check({"image": "a"}, stopped)["start"] is False, "after a refresh everything sticks"


@pytest.mark.parametrize(("name", "first"), [("chosen", True), (None, False)])
def test_an_explicit_name_means_delete_before_replace(name: str | None, first: bool) -> None:
    network = Asked(docker.plugin(), NETWORK)
    before = network.check({"name": name, "driver": "bridge"})
    after = network.check({"name": name, "driver": "macvlan"}, before)
    assert network.diff(before, after).replaces == ["driver"]
    assert network.diff(before, after).delete_before_replace is first


@pytest.mark.parametrize(
    ("written", "read_back"), [("2s", "2s"), ("0s", "0s"), ("500ms", "500ms"), ("60s", "1m0s"), ("1h0.5s", "1h0m0.5s")]
)
def test_a_duration_comes_back_as_go_prints_it(written: str, read_back: str) -> None:
    assert docker.go_duration(docker.nanoseconds(written)) == read_back


def test_a_duration_needs_a_unit() -> None:
    with pytest.raises(ValueError, match="found 10"):
        docker.nanoseconds("10")


def test_a_container_is_described_in_the_words_of_the_engine(container: Asked) -> None:
    inputs = {
        "image": "a",
        "memory": 64,
        "memorySwap": -1,
        "healthcheck": HEALTH,
        "volumes": [{"volumeName": "data", "containerPath": "/data", "readOnly": True}],
        "ports": [{"internal": 80, "external": 8080, "ip": "127.0.0.1"}],
        "ulimits": [{"name": "nofile", "soft": 1, "hard": 2}],
    }
    config = docker.container_config(container.check(inputs))
    host = config["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (64 * 1024 * 1024, -1)
    assert host["Binds"] == ["data:/data:ro"]
    assert host["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 1, "Hard": 2}]
    assert config["Healthcheck"]["Interval"] == 2 * 10**9


@pytest.mark.parametrize("given", [{}, {"content": "a", "source": "/b"}])
def test_an_upload_has_one_source(given: State) -> None:
    with pytest.raises(ValueError, match="either content or source"):
        docker.packed({"file": "/a", **given})


# The protocol


class Refused(Exception):
    pass


class Call:
    """What a call of the engine gets to see of an answer that failed."""

    async def abort(self, code: object, message: str) -> None:
        raise Refused(message)

    def set_trailing_metadata(self, metadata: tuple[tuple[str, bytes], ...]) -> None:
        self.status = status_pb2.Status.FromString(metadata[0][1])


class Failing(Resource):
    schema = Schema(updating=words("size"), autonamed=False)

    def create(self, inputs: State) -> tuple[str, State]:
        if not inputs["size"]:
            raise RuntimeError("refused")
        with bridge.unfinished("id-1", inputs):
            raise RuntimeError("sick")


def refusal(size: int) -> tuple[str, status_pb2.Status]:
    plugin, call = Plugin({"a:index/b:B": Failing()}, words(""), lambda _: None), Call()
    servicer = bridge.Servicer([], "1.0.0", plugin, "engine")
    urn = "urn:pulumi:dev::rag::a:index/b:B::it"
    request = provider_pb2.CreateRequest(urn=urn, properties=PropertyValue.marshal_map(properties({"size": size})))
    with pytest.raises(Refused) as refused:
        asyncio.run(servicer.Create(request, call))
    return str(refused.value), call.status


def test_what_was_made_but_not_finished_is_kept_with_its_error() -> None:
    message, status = refusal(5)
    failed = ErrorResourceInitFailed()
    assert status.details[0].Unpack(failed)
    assert (message, failed.id, list(failed.reasons)) == ("sick", "id-1", ["sick"])
    assert plain(PropertyValue.unmarshal_map(failed.properties)) == {"size": 5}


def test_what_was_never_made_is_not_kept_and_its_reason_has_no_traceback() -> None:
    message, status = refusal(0)
    assert (message, list(status.details)) == ("refused", [])


# Passwords


def test_a_password_is_as_wanted_and_secret() -> None:
    asked = Asked(Plugin({PASSWORD: random.RandomPassword()}, words(""), lambda _: None), PASSWORD)
    _, state, inputs = asked.up({"length": 40, "special": False, "upper": False})
    assert len(state["result"]) == 40
    assert set(state["result"]) <= set(string.ascii_lowercase + string.digits)
    assert state["bcryptHash"].startswith("$2b$10$")
    request = protocol.CreateRequest(asked.urn, properties(inputs), 0, preview=False)
    made = asyncio.run(asked.plugin.create(request)).properties
    assert {name for name, value in made.items() if value.is_secret} == {"result", "bcryptHash"}
    assert kinds(asked.diff(state, {**inputs, "length": 41})) == {"length": "UPDATE_REPLACE"}
    assert not asked.diff(state, inputs).changes


@pytest.mark.parametrize("given", [{"length": 0}, {"length": 4, **dict.fromkeys(random.ALPHABETS, False)}])
def test_a_password_that_cannot_be_is_refused(given: State) -> None:
    asked = Asked(Plugin({PASSWORD: random.RandomPassword()}, words(""), lambda _: None), PASSWORD)
    with pytest.raises(ValueError, match="length of at least 1"):
        asked.up(given)


# Kong


class AdminApi(ThreadingHTTPServer):
    """As much of Kong's Admin API as shows what a client did: entities, merging, one unique name, a default."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Admin)
        self.entities: dict[str, State] = {}
        self.calls: list[tuple[str, str, State]] = []
        self.tokens: list[str | None] = []


class Admin(BaseHTTPRequestHandler):
    server: AdminApi

    def do_POST(self) -> None:
        body = self._body()
        if any(body.get("name") and each.get("name") == body["name"] for each in self.server.entities.values()):
            return self._answer(409, {"message": f"UNIQUE violation detected on '{{name=\"{body['name']}\"}}'"})
        entity = {"id": str(uuid.uuid4()), "tags": None, "config": {"policy": "local"}, **body}
        entity["config"] = {"policy": "local", **entity["config"]}
        self.server.entities[f"{self.path}/{entity['id']}"] = entity
        return self._answer(201, entity)

    def do_PATCH(self) -> None:
        body, entity = self._body(), self.server.entities[self.path]
        entity |= {**body, "config": {**entity["config"], **body.get("config", {})}}
        self._answer(200, entity)

    def do_GET(self) -> None:
        self._body()
        below = [each for path, each in self.server.entities.items() if path.rsplit("/", 1)[0] == self.path]
        entity = self.server.entities.get(self.path) or ({"data": below} if below else None)
        self._answer(200 if entity else 404, entity or {"message": "Not found"})

    def do_DELETE(self) -> None:
        self._body()
        self.server.entities.pop(self.path, None)
        self._answer(204, None)

    def _body(self) -> State:
        body: State = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self.server.calls.append((self.command, self.path, body))
        self.server.tokens.append(self.headers.get("kong-admin-token"))
        return body

    def _answer(self, status: int, body: State | None) -> None:
        content = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def admin() -> Iterator[AdminApi]:
    with AdminApi() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def entity(admin: AdminApi) -> Callable[[str], Asked]:
    plugin = kong.plugin()
    args = {"kongAdminUri": f"http://127.0.0.1:{admin.server_port}", "kongAdminToken": "t0ken"}
    asyncio.run(plugin.configure(protocol.ConfigureRequest({}, properties(args), True, True)))
    return lambda name: Asked(plugin, f"kong:index/{name}:{name[:1].upper()}{name[1:]}")


def test_a_preview_sends_no_request(admin: AdminApi, entity: Callable[[str], Asked]) -> None:
    plugin = entity("plugin")
    _, outputs = plugin.create(plugin.check({"name": "jwt"}), preview=True)
    assert outputs["computedConfig"] == UNKNOWN
    assert admin.calls == []
    plugin.create(plugin.check({"name": "jwt"}))
    assert [call[0] for call in admin.calls] == ["POST", "GET"]
    assert set(admin.tokens) == {"t0ken"}


def test_nothing_empty_is_sent_but_for_what_is_always_sent(admin: AdminApi, entity: Callable[[str], Asked]) -> None:
    entity("service").up({"name": "s", "protocol": "http", "retries": 0, "tags": [], "tlsVerify": False})
    sent = admin.calls[0][2]
    assert (sent["retries"], sent["tls_verify"], sent["connect_timeout"]) == (0, False, 60000)
    assert "tags" not in sent
    entity("consumerJwtAuth").up({"consumerId": "c", "rsaPublicKey": "x", "key": "k"})
    path, sent = admin.calls[2][1:]
    assert (path, sent) == ("/consumers/c/jwt", {"key": "k", "secret": "", "algorithm": "", "rsa_public_key": "x"})
    entity("route").up({"serviceId": "s", "protocols": ["http"], "headers": [{"name": "X-A", "values": ["b"]}]})
    assert admin.calls[4][2]["headers"] == {"X-A": ["b"]}
    assert admin.calls[4][2]["service"] == {"id": "s"}


def test_an_update_merges(entity: Callable[[str], Asked]) -> None:
    plugin = entity("plugin")
    first = {"name": "rate-limiting", "configJson": '{"minute":5,"hour":9}', "enabled": True}
    resource_id, state, _ = plugin.up(first)
    changed = plugin.check({**first, "configJson": '{"minute":6}'})
    assert kinds(plugin.diff(state, changed)) == {"configJson": "UPDATE"}
    after = plugin.update(resource_id, state, changed)
    assert json.loads(after["computedConfig"]) == {"minute": 6, "hour": 9, "policy": "local"}
    assert not plugin.diff(after, changed).changes


@pytest.mark.parametrize(("strict", "seen"), [(True, {"configJson": "UPDATE"}), (False, {})])
def test_drift_of_a_config_is_seen_only_with_strict_match(
    admin: AdminApi, entity: Callable[[str], Asked], strict: bool, seen: dict[str, str]
) -> None:
    plugin = entity("plugin")
    given = {"name": "cors", "configJson": '{"policy": "local", "max_age": 5}', "enabled": True, "strictMatch": strict}
    resource_id, state, inputs = plugin.up(given)
    assert not plugin.diff(state, inputs).changes
    admin.entities[f"/plugins/{resource_id}"]["config"]["max_age"] = 99999
    _, drifted, refreshed = plugin.read(resource_id, state, inputs)
    assert kinds(plugin.diff(drifted, plugin.check(given, refreshed))) == seen


@pytest.mark.parametrize(("given", "enabled"), [({"enabled": True}, True), ({}, False)])
def test_a_disabled_plugin_is_enabled_again_only_if_that_was_asked_for(
    admin: AdminApi, entity: Callable[[str], Asked], given: State, enabled: bool
) -> None:
    plugin = entity("plugin")
    resource_id, state, inputs = plugin.up({"name": "cors", **given})
    admin.entities[f"/plugins/{resource_id}"]["enabled"] = False
    _, _, refreshed = plugin.read(resource_id, state, inputs)
    assert plugin.check({"name": "cors", **given}, refreshed)["enabled"] is enabled


def test_a_config_that_does_not_parse_fails_the_preview(entity: Callable[[str], Asked]) -> None:
    assert entity("plugin").failures({"name": "cors", "configJson": "{"}).keys() == {"configJson"}
    assert entity("plugin").failures({"name": "cors", "configJson": "{}"}) == {}
    assert entity("plugin").failures({"name": "cors", "configJson": UNKNOWN}) == {}


def test_an_error_of_kong_is_passed_on(entity: Callable[[str], Asked]) -> None:
    entity("upstream").up({"name": "u"})
    with pytest.raises(RuntimeError, match=r"HTTP status 409 \(message: .*UNIQUE violation"):
        entity("upstream").up({"name": "u"})


def test_a_target_is_replaced_without_being_deleted_first(entity: Callable[[str], Asked]) -> None:
    upstream, _, _ = entity("upstream").up({"name": "u"})
    target = entity("target")
    given = {"upstreamId": upstream, "target": "a:80", "weight": 100}
    resource_id, state, inputs = target.up(given)
    assert resource_id.startswith(f"{upstream}/")
    diff = target.diff(state, {**inputs, "weight": 50})
    assert (kinds(diff), diff.delete_before_replace) == ({"weight": "UPDATE_REPLACE"}, False)


def test_an_entity_that_is_gone_is_read_as_gone(admin: AdminApi, entity: Callable[[str], Asked]) -> None:
    resource_id, state, inputs = entity("consumer").up({"username": "u"})
    assert entity("consumer").read(resource_id, state, inputs)[0] == resource_id
    admin.entities.clear()
    assert entity("consumer").read(resource_id, state, inputs)[0] is None


@pytest.mark.parametrize(("passive", "differs"), [({"successes": 2, "httpStatuses": [200]}, False), ({}, True)])
def test_health_checks_differ_for_ever_where_passive_statuses_are_left_to_kong(
    admin: AdminApi, entity: Callable[[str], Asked], passive: State, differs: bool
) -> None:
    upstream = entity("upstream")
    checks = {"active": {"healthy": {"interval": 5}}, "passive": {"healthy": passive}}
    resource_id, state, inputs = upstream.up({"name": "u", "healthchecks": checks})
    assert admin.calls[0][2]["healthchecks"]["active"] == {"healthy": {"interval": 5, "successes": 0}}
    stored = admin.entities[f"/upstreams/{resource_id}"]["healthchecks"]
    stored["active"] |= {"type": "http"}
    stored["passive"]["healthy"].setdefault("http_statuses", [200, 201])
    assert upstream.diff(upstream.read(resource_id, state, inputs)[1], inputs).changes is differs


# On a real engine


def wrapper(folder: Path, name: str) -> None:
    program = folder / f"pulumi-resource-{name}"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -P -m sandbox.plugins.{name} "$@"\n')
    program.chmod(0o755)


@pytest.fixture
def image() -> str:
    listed = subprocess.run(["docker", "images", "-q", "sandbox/base"], capture_output=True, text=True, check=True)
    return [*listed.stdout.split(), "debian:bookworm-slim"][0]


@pytest.mark.live
def test_a_container_that_never_got_well_is_replaced_and_hooks_run_around_it(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper(tmp_path, "docker")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "passphrase")
    hooks: list[str] = []
    health = ["CMD", "true"]

    def program() -> None:
        stop = pulumi.ResourceHook("stop", lambda _: hooks.append("before delete"))
        made = pulumi.ResourceHook("made", lambda _: hooks.append("after create"))
        pulumi_docker.Container(
            "c",
            name="plugtest-live",
            image=image,
            entrypoints=["sleep", "1000"],
            envs=[pulumi.Output.secret("WORD=unspeakable")],
            healthcheck=pulumi_docker.ContainerHealthcheckArgs(tests=health, interval="1s", retries=1),
            wait=True,
            wait_timeout=4,
            opts=pulumi.ResourceOptions(
                delete_before_replace=True,
                replace_on_changes=["#initerror", "healthcheck"],
                hooks=pulumi.ResourceHookBinding(before_delete=[stop], after_create=[made]),
            ),
        )

    project = automation.ProjectSettings("plugtest", "python", backend=automation.ProjectBackend(f"file://{tmp_path}"))
    options = automation.LocalWorkspaceOptions(work_dir=str(tmp_path), project_settings=project)
    stack = automation.create_or_select_stack("live", "plugtest", program, opts=options)

    def changes() -> dict[str, int]:
        return {str(kind): count for kind, count in stack.preview().change_summary.items() if kind != "same"}

    try:
        stack.up()
        assert changes() == {}
        [state] = glob.glob(f"{tmp_path}/.pulumi/stacks/plugtest/live.json")
        assert "unspeakable" not in Path(state).read_text()
        health[1] = "false"
        assert changes() == {"replace": 1}
        with pytest.raises(automation.CommandError, match="failed to be in healthy state"):
            stack.up()
        assert "unspeakable" not in Path(state).read_text()
        assert changes() == {"replace": 1}, "a second run does not take the failed start for a success"
        health[1] = "true"
        stack.up()
        assert changes() == {}
        assert hooks == ["after create", "before delete", "before delete", "after create"]
    finally:
        stack.destroy(run_program=True)
