"""Stand-in for the Pulumi plugin `kong`: entities of a real Admin API, with the traps of terraform-provider-kong.

Config is read back only with strictMatch, zeros and empty lists are never sent, an update merges, and `computedConfig`
is as plain as the real one's.
"""

import json
import os
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import requests

from sandbox.plugins.bridge import Failures, GoneError, Plugin, Resource, State, serve, unfinished, words

SETTINGS = words("kongAdminUri kongAdminToken kongApiKey kongAdminUsername kongAdminPassword tlsSkipVerify strictPluginsMatch")
REFERENCE = "Id"
STATUSES: list[int] = []  # left out of `active` they may be Kong's own; left out of `passive` they differ for ever
HEALTH: State = {
    "active": {
        "type": "http", "timeout": 1, "concurrency": 10, "httpPath": "/", "httpsVerifyCertificate": True, "httpsSni": "",
        "healthy": {"interval": 0, "httpStatuses": None, "successes": 0},
        "unhealthy": {"interval": 0, "httpStatuses": None, "tcpFailures": 0, "httpFailures": 0, "timeouts": 0},
    },
    "passive": {
        "type": "http",
        "healthy": {"httpStatuses": STATUSES, "successes": 0},
        "unhealthy": {"httpStatuses": STATUSES, "tcpFailures": 0, "httpFailures": 0, "timeouts": 0},
    },
}  # fmt: skip


class AdminApi:
    """HTTP to the Admin API; configuring it calls nobody."""

    def connect(self, config: State) -> None:
        self.url = config.get("kongAdminUri") or os.environ.get("KONG_ADMIN_ADDR") or "http://localhost:8001"
        self.strict = str(config.get("strictPluginsMatch")).lower() == "true"
        self.session = requests.Session()
        self.session.verify = str(config.get("tlsSkipVerify")).lower() != "true"
        headers = {"kong-admin-token": config.get("kongAdminToken"), "apikey": config.get("kongApiKey")}
        self.session.headers.update({name: value for name, value in headers.items() if value})
        if user := config.get("kongAdminUsername"):
            self.session.auth = (user, config.get("kongAdminPassword", ""))

    def call(self, method: str, path: str, body: State | None = None) -> State:
        answer = self.session.request(method, f"{self.url.rstrip('/')}/{path}", json=body)
        if answer.ok:
            return dict(answer.json()) if answer.content else {}
        message = answer.json().get("message") if "json" in answer.headers.get("Content-Type", "") else answer.text
        raise (GoneError if answer.status_code == 404 else RuntimeError)(
            f"{method} {path}: HTTP status {answer.status_code} (message: {json.dumps(message)})"
        )


class Entity(Resource):
    """An entity of Kong: inputs are its fields, and an input ...Id is a reference."""

    path = ""  # may name one input in braces, the parent
    always: ClassVar[Mapping[str, Any]] = {}  # sent even when left out, as this
    joint = "/"  # between the two halves of the id of an entity that has a parent

    def __init__(self, api: AdminApi) -> None:
        self.api = api

    @property
    def parent(self) -> str | None:
        return next(iter(re.findall(r"{(\w+)}", self.path)), None)

    def at(self, resource_id: str, state: State) -> str:
        halves = resource_id.split(self.joint)
        mine, parents = (halves if self.joint == "|" else halves[::-1]) if self.parent else (resource_id, "")
        return f"{self.path.format(**{self.parent or 'none': parents})}/{mine}"

    def create(self, inputs: State) -> tuple[str, State]:
        made = self.api.call("POST", self.path.format(**inputs), self.body(inputs))["id"]
        if self.parent:
            made = self.joint.join([made, inputs[self.parent]] if self.joint == "|" else [inputs[self.parent], made])
        with unfinished(made, inputs):
            return self.read(made, inputs)

    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        return resource_id, {**state, **self.seen(self.api.call("GET", self.at(resource_id, state)), state)}

    def update(self, resource_id: str, olds: State, news: State) -> State:
        self.api.call("PATCH", self.at(resource_id, news), self.body(news))
        return self.read(resource_id, news)[1]

    def delete(self, resource_id: str, state: State) -> None:
        try:
            self.api.call("DELETE", self.at(resource_id, state))
        except GoneError as gone:
            raise RuntimeError(f"could not delete: {gone}") from gone

    def body(self, inputs: State) -> State:
        given = {**self.always, **{k: v for k, v in inputs.items() if k in self.inputs and (v or v is False)}}
        given.pop(self.parent or "", None)
        references = {k[: -len(REFERENCE)]: {"id": v} for k, v in given.items() if k.endswith(REFERENCE) and k != "customId"}
        return {snake(k): v for k, v in given.items() if k[: -len(REFERENCE)] not in references} | snaked(references)

    def seen(self, entity: State, state: State) -> State:
        """Its fields as inputs; what Kong leaves empty stays as it was, but for tags."""
        found = {camel(name): value for name, value in entity.items() if value is not None}
        found |= {name + REFERENCE: value["id"] for name, value in found.items() if isinstance(value, dict) and "id" in value}
        return {name: found[name] for name in self.inputs if name in found} | {"tags": entity.get("tags")}
