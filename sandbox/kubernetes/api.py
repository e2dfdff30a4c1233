"""A Kubernetes API server, as plain HTTP."""

import atexit
import base64
import os
import tempfile
from pathlib import Path
from typing import Any

import requests
import yaml

Object = dict[str, Any]
SOON_SECONDS, LATER_SECONDS = 5, 60  # to connect; to answer


class Refused(RuntimeError):
    """The server's own sentence, with the status it came with."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class Unreachable(RuntimeError):
    """No server answers, or nothing says where one is."""


class Api:
    """One server and one identity, of a kubeconfig: its text, or the path of the file."""

    def __init__(self, kubeconfig: str, context: str = "", cluster: str = "") -> None:
        described = yaml.safe_load(_text(kubeconfig))
        if not isinstance(described, dict):
            raise Unreachable("expected a kubeconfig, found none: set KUBECONFIG, or kubernetes:kubeconfig")
        chosen = _named(described, "context", context or described.get("current-context") or "")
        at = _named(described, "cluster", cluster or chosen["cluster"])
        self.server, self.namespace = str(at["server"]).rstrip("/"), str(chosen.get("namespace") or "default")
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy for the world is none for the cluster
        self._session.verify = _file(at, "certificate-authority") or not at.get("insecure-skip-tls-verify", False)
        user = _named(described, "user", chosen.get("user", ""))
        if certificate := _file(user, "client-certificate"):
            self._session.cert = (certificate, _file(user, "client-key"))
        if token := user.get("token"):
            self._session.headers["Authorization"] = f"Bearer {token}"
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    def kind(self, api_version: str, kind: str) -> tuple[str, bool]:
        """How that kind is called in paths, and whether its objects are in namespaces; Refused with 404 if unknown."""
        if kind not in self._kinds.get(api_version, {}):
            served = self.call("GET", _root(api_version))["resources"]
            self._kinds[api_version] = {
                entry["kind"]: (entry["name"], entry["namespaced"]) for entry in served if "/" not in entry["name"]
            }
        if kind not in self._kinds[api_version]:
            raise Refused(404, "NotFound", f"no matches for kind {kind!r} in version {api_version!r}")
        return self._kinds[api_version][kind]

    def path(self, api_version: str, kind: str, namespace: str = "", name: str = "") -> str:
        """Of one object, or of all of its kind: in a namespace, or everywhere."""
        plural, namespaced = self.kind(api_version, kind)
        where = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{_root(api_version)}{where}/{plural}{'/' + name if name else ''}"

    def of(self, thing: Object) -> str:
        """The path of an object that says what and where it is."""
        metadata = thing["metadata"]
        namespace = metadata.get("namespace") or self.namespace
        return self.path(thing["apiVersion"], thing["kind"], namespace, metadata["name"])

    def list(self, api_version: str, kind: str, namespace: str = "", **query: str) -> list[Object]:
        items = self.call("GET", self.path(api_version, kind, namespace), query)["items"]
        return [{"apiVersion": api_version, "kind": kind, **item} for item in items]

    def apply(self, thing: Object, manager: str, *, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply: what `manager` no longer says is removed, what another one says is a conflict (409)."""
        query = {"fieldManager": manager, "force": str(force).lower(), **({"dryRun": "All"} if dry_run else {})}
        return self.call("PATCH", self.of(thing), query, thing, "application/apply-patch+yaml")

    def call(
        self, method: str, path: str, query: Object | None = None, body: Any = None, kind: str = "application/json"
    ) -> Object:
        """One request: the answer's object, or Refused with the server's reason."""
        try:
            answer = self._session.request(
                method, self.server + path, params=query, json=body, headers={"Content-Type": kind},
                timeout=(SOON_SECONDS, LATER_SECONDS),
            )  # fmt: skip
        except (requests.RequestException, OSError) as error:
            raise Unreachable(f"{self.server} does not answer: {error}") from error
        found = answer.json() if "json" in answer.headers.get("Content-Type", "") else {"message": answer.text}
        if not answer.ok:
            raise Refused(answer.status_code, found.get("reason", ""), found.get("message", answer.reason))
        return dict(found)


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _text(kubeconfig: str) -> str:
    """What was given, or what is in the first file of the list of paths that was given, or in the usual place."""
    if "\n" in kubeconfig or kubeconfig.lstrip().startswith("{"):
        return kubeconfig
    places = kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube/config")
    return next((path.read_text() for place in places.split(":") if (path := Path(place).expanduser()).is_file()), "")


def _named(described: Object, kind: str, name: str) -> Object:
    for entry in described.get(f"{kind}s") or ():
        if entry["name"] == name:
            return dict(entry[kind])
    raise Unreachable(f"expected a {kind} {name!r} in the kubeconfig, found none")


def _file(entry: Object, key: str) -> str:
    """A path as requests wants it, of what a kubeconfig gives as a path or as base64."""
    if data := entry.get(f"{key}-data"):
        descriptor, path = tempfile.mkstemp(prefix="kube-")
        atexit.register(os.unlink, path)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64decode(data))
        return path
    return str(entry.get(key) or "")
