"""A Kubernetes API server, as plain HTTP."""

import base64
import json
import os
import ssl
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
import yaml

Object = dict[str, Any]
SOON_SECONDS, LATER_SECONDS = 5, 60  # to connect; to answer


class Refused(RuntimeError):
    """The server's own sentence, with the status it came with."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class Unreachable(RuntimeError):
    """No server answers, or no kubeconfig names one."""


class Api:
    """One server and one identity, of a kubeconfig: its text, or the path of the file."""

    def __init__(self, kubeconfig: str, context: str = "", cluster: str = "") -> None:
        described = yaml.safe_load(_text(kubeconfig))
        if not isinstance(described, dict):
            raise Unreachable("expected a kubeconfig, found none: set KUBECONFIG, or kubernetes:kubeconfig")
        chosen = _named(described, "context", context or described.get("current-context") or "")
        at = _named(described, "cluster", cluster or chosen["cluster"])
        self.server, self.namespace = str(at["server"]).rstrip("/"), str(chosen.get("namespace") or "default")
        user = _named(described, "user", chosen.get("user", ""))
        self._headers = {"Authorization": f"Bearer {user['token']}"} if user.get("token") else {}
        # No proxy: one for the world is none for the cluster. And not `requests`: it takes keys as files only.
        self._pool = urllib3.PoolManager(ssl_context=_trust(at, user), retries=False, maxsize=32)
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
        """The path of an object."""
        metadata = thing["metadata"]
        namespace = metadata.get("namespace") or self.namespace
        return self.path(thing["apiVersion"], thing["kind"], namespace, metadata["name"])

    def list(self, api_version: str, kind: str, namespace: str = "", **query: str) -> list[Object]:
        items = self.call("GET", self.path(api_version, kind, namespace), query)["items"]
        return [{"apiVersion": api_version, "kind": kind, **item} for item in items]

    def apply(self, thing: Object, manager: str, *, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply: fields `manager` no longer sets are removed; a field of another is a conflict (409)."""
        query = {"fieldManager": manager, "force": str(force).lower(), **({"dryRun": "All"} if dry_run else {})}
        return self.call("PATCH", self.of(thing), query, thing, "application/apply-patch+yaml")

    def call(
        self, method: str, path: str, query: Object | None = None, body: Any = None, kind: str = "application/json"
    ) -> Object:
        """One request: the answer's object, or Refused with the server's reason."""
        try:
            answer = self._pool.request(
                method, f"{self.server}{path}?{urlencode(query or {})}",
                body=None if body is None else json.dumps(body),
                headers={**self._headers, "Content-Type": kind},
                timeout=urllib3.Timeout(connect=SOON_SECONDS, read=LATER_SECONDS),
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(f"{self.server} does not answer: {error}") from error
        spoken = "json" in answer.headers.get("Content-Type", "")
        found = json.loads(answer.data) if spoken else {"message": answer.data.decode(errors="replace")}
        if answer.status >= 400:
            raise Refused(answer.status, found.get("reason", ""), str(found.get("message", answer.reason)))
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


def _trust(at: Object, user: Object) -> ssl.SSLContext:
    """The trusted authority and the client's certificate; its key is in a file only while it is read."""
    authority = _data(at, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode() or None)
    if at.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate := _data(user, "client-certificate"):
        with tempfile.NamedTemporaryFile(prefix="kube-") as both:
            both.write(certificate + b"\n" + _data(user, "client-key"))
            both.flush()
            context.load_cert_chain(both.name)
    return context


def _data(entry: Object, key: str) -> bytes:
    """What a kubeconfig gives as base64, or in a file of which it gives the path; empty when neither."""
    if data := entry.get(f"{key}-data"):
        return base64.b64decode(data)
    return Path(entry[key]).read_bytes() if entry.get(key) else b""
