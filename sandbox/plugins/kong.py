"""Stand-in for the Pulumi plugin `kong`: entities of an Admin API, with the traps of terraform-provider-kong.

Zeros and empty lists are never sent, an update merges, config is read back only with strictMatch, and `computedConfig`
is plain text.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from sandbox.plugins.bridge import UNKNOWN, Gone, Plugin, Resource, Schema, State, serve, unfinished, words

REFERENCES = {f"{name}Id": name for name in ("service", "route", "consumer", "upstream")}
COUNTS = {"healthy": {"successes": 0}, "unhealthy": {"tcpFailures": 0, "httpFailures": 0, "timeouts": 0}}
LEFT_OUT: dict[str, State] = {"active": {"interval": 0}, "passive": {"httpStatuses": []}}


class AdminApi:
    """HTTP to the Admin API. Connecting sends no request, so that a preview needs no Kong."""

    def connect(self, config: State) -> None:
        self.session = requests.Session()
        self.session.trust_env = False  # Kong is on this machine, behind no proxy
        self.url = config.get("kongAdminUri") or os.environ.get("KONG_ADMIN_ADDR") or "http://localhost:8001"
        self.strict = config.get("strictPluginsMatch") in (True, "true")
        self.verify = config.get("tlsSkipVerify") not in (True, "true")
        self.headers = {"kong-admin-token": config.get("kongAdminToken"), "apikey": config.get("kongApiKey")}

    def call(self, method: str, path: str, body: State | None = None) -> Any:
        url = f"{self.url.rstrip('/')}/{path}"
        try:
            answer = self.session.request(method, url, json=body, headers=self.headers, verify=self.verify, timeout=60)
        except requests.ConnectionError as error:
            raise RuntimeError(f"{method} {url}: expected Kong's Admin API, found nothing; is Kong up?") from error
        if not answer.ok:
            message = answer.json().get("message") if "json" in answer.headers.get("Content-Type", "") else answer.text
            kind = Gone if answer.status_code == 404 else RuntimeError
            raise kind(f"{method} /{path}: HTTP status {answer.status_code} (message: {json.dumps(message)})")
        return answer.json() if answer.content else {}


@dataclass(frozen=True, kw_only=True)
class Entity(Resource):
    """An entity of Kong, whose inputs are its fields."""

    api: AdminApi
    path: str
    schema: Schema
    parent: str = ""  # the input that names the entity it belongs to
    identity: str = "{mine}"
    unsent: str = ""
    always: Mapping[str, Any] = field(default_factory=dict)  # inputs sent as this when left out
    on_update: Mapping[str, Any] = field(default_factory=dict)  # fields an update sends as this when left out

    def create(self, inputs: State) -> tuple[str, State]:
        parent = inputs.get(self.parent, "")
        made = self.api.call("POST", self.path.format(parent=parent), self.body(inputs))["id"]
        resource_id = self.identity.format(mine=made, parent=parent)
        with unfinished(resource_id, inputs):
            return self.read(resource_id, inputs)

    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        return resource_id, {**state, **self.observed(self.api.call("GET", self.at(resource_id)), state)}

    def update(self, resource_id: str, olds: State, news: State) -> State:
        self.api.call("PATCH", self.at(resource_id), {**self.on_update, **self.body(news)})
        return self.read(resource_id, news)[1]

    def delete(self, resource_id: str, state: State) -> None:
        try:
            self.api.call("DELETE", self.at(resource_id))
        except Gone as gone:  # Kong answers 204 for what is gone; a 404 means that its parent is
            raise RuntimeError(f"could not delete: {gone}") from gone

    def at(self, resource_id: str) -> str:
        mine, parent = resource_id.split("|") if "|" in resource_id else [*resource_id.split("/")[::-1], ""][:2]
        return f"{self.path.format(parent=parent)}/{mine}"

    def body(self, inputs: State) -> State:
        """What is sent: Terraform takes a zero and an empty list for nothing given."""
        given = {**self.always, **{name: value for name, value in inputs.items() if value or value is False}}
        names = given.keys() & self.schema.inputs - {self.unsent, "strictMatch"}
        return {named(name): encoded(name, given[name]) for name in names}

    def observed(self, entity: State, state: State) -> State:
        """Its fields as inputs. Of what Kong has nothing, the state stays as it was, but for tags."""
        found = {name: decoded(name, entity.get(named(name))) for name in self.schema.inputs}
        return {name: value for name, value in found.items() if value is not None} | {"tags": entity.get("tags")}


class PluginEntity(Entity):
    def observed(self, entity: State, state: State) -> State:
        strict = state.get("strictMatch") or self.api.strict
        config = json.dumps(entity["config"], sort_keys=True, separators=(",", ":"))
        return {**super().observed(entity, state), "configJson" if strict else "computedConfig": config}


class Target(Entity):
    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        parent, mine = resource_id.split("/")
        self.api.call("GET", f"upstreams/{parent}")
        for target in self.api.call("GET", self.path.format(parent=parent))["data"]:
            if target["id"] == mine:
                return resource_id, {**state, **self.observed(target, state)}
        raise Gone(resource_id)


def named(name: str) -> str:
    special = {"configJson": "config", **REFERENCES}
    return special.get(name) or re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def encoded(name: str, value: Any) -> Any:
    if name in REFERENCES:
        return {"id": value}
    if name == "headers":
        return {header["name"]: header["values"] for header in value}
    if name == "healthchecks":
        return renamed(filled(value), named)
    return parsed(value) if name == "configJson" else value


def decoded(name: str, value: Any) -> Any:
    if name in REFERENCES:
        return (value or {}).get("id")
    if name == "healthchecks":
        return renamed(value, lambda key: re.sub("_([a-z])", lambda letter: letter[1].upper(), key))
    return None if name in ("headers", "configJson") else value


def parsed(config_json: str | None) -> Any:
    return config_json if config_json == UNKNOWN else json.loads(config_json or "{}")


def filled(checks: Any) -> Any:
    """Counts that are left out are sent as 0; passive statuses that are left out are Kong's, and differ for ever."""
    if not isinstance(checks, dict):
        return checks
    return {
        side: {
            name: {**LEFT_OUT[side], **COUNTS[name], **part} if name in COUNTS else part for name, part in parts.items()
        }
        for side, parts in checks.items()
    }


def covers(old: Any, new: Any) -> bool:
    if isinstance(new, dict):
        return all(covers((old or {}).get(name), value) for name, value in new.items())
    return bool(old == new) or not (old or new)


def renamed(value: Any, rename: Callable[[str], str]) -> Any:
    """The same with other names, and without empty lists."""
    if not isinstance(value, dict):
        return value
    return {rename(name): renamed(each, rename) for name, each in value.items() if each != []}


def entities(api: AdminApi) -> dict[str, Resource]:
    service = Schema(
        required=words("protocol"),
        updating=words(
            "name protocol host port path retries connectTimeout readTimeout writeTimeout tags tlsVerify tlsVerifyDepth"
        ),
        defaults={"port": 80, "retries": 5, "connectTimeout": 60000, "readTimeout": 60000, "writeTimeout": 60000},
    )
    route = Schema(
        required=words("protocols serviceId"),
        updating=words(
            "name protocols methods hosts paths stripPath snis preserveHost regexPriority serviceId pathHandling "
            "httpsRedirectStatusCode requestBuffering responseBuffering headers tags"
        ),
        unordered=words("headers"),
        nested={"headers": words("name values")},
        defaults={"pathHandling": "v0", "httpsRedirectStatusCode": 426}
        | dict.fromkeys(("stripPath", "requestBuffering", "responseBuffering"), True),
    )
    plugin = Schema(
        replacing=words("name"),
        updating=words("configJson serviceId routeId consumerId enabled strictMatch tags"),
        defaults={"enabled": True},
        alike={"configJson": lambda old, new: not new or parsed(old) == parsed(new)},
        checks={"configJson": parsed},
        outputs=words("computedConfig"),
    )
    upstream = Schema(
        updating=words(
            "name slots hashOn hashFallback hashOnHeader hashFallbackHeader hashOnCookie hashOnCookiePath hostHeader "
            "healthchecks tags"
        ),
        computed=words("healthchecks"),
        nested={"healthchecks": words("active passive")},
        defaults={"slots": 10000, "hashOn": "none", "hashFallback": "none", "hashOnCookiePath": "/"},
        alike={"healthchecks": lambda old, new: covers(old, filled(new))},
    )
    target = words("target weight upstreamId")
    secrets = dict.fromkeys(("algorithm", "key", "rsaPublicKey", "secret"), "")
    return {
        "service": Entity(api=api, path="services", schema=service, always={"retries": 0}),
        "route": Entity(api=api, path="routes", schema=route, always={"headers": []}),
        "plugin": PluginEntity(api=api, path="plugins", schema=plugin),
        "upstream": Entity(api=api, path="upstreams", schema=upstream),
        "target": Target(
            api=api,
            path="upstreams/{parent}/targets",
            parent="upstreamId",
            identity="{parent}/{mine}",
            schema=Schema(required=target, replacing=target | {"tags"}, autonamed=False),
        ),
        "consumer": Entity(
            api=api,
            path="consumers",
            schema=Schema(updating=words("username customId tags"), autonamed=False),
            on_update={"username": "", "custom_id": ""},
        ),
        "consumerAcl": Entity(
            api=api,
            path="consumers/{parent}/acls",
            schema=Schema(
                required=words("consumerId group"),
                replacing=words("consumerId group"),
                updating=words("tags"),
                autonamed=False,
            ),
            parent="consumerId",
            identity="{mine}|{parent}",
            unsent="consumerId",
        ),
        "consumerJwtAuth": Entity(
            api=api,
            path="consumers/{parent}/jwt",
            schema=Schema(
                required=words("consumerId rsaPublicKey"), updating=words("consumerId tags", secrets), autonamed=False
            ),
            always=secrets,
            parent="consumerId",
            identity="{mine}|{parent}",
            unsent="consumerId",
        ),
    }


def plugin() -> Plugin:
    api = AdminApi()
    tokens = {f"kong:index/{name}:{name[:1].upper()}{name[1:]}": entity for name, entity in entities(api).items()}
    config = words("kongAdminUri kongAdminToken kongApiKey strictPluginsMatch tlsSkipVerify")
    return Plugin(tokens, config, api.connect)


if __name__ == "__main__":
    serve("pulumi-kong", plugin())
