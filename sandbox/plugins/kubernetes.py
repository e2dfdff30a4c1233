"""Stand-in for the Pulumi plugin `kubernetes`: objects of any kind, by server-side apply.

As the real one it refuses to make what exists, compares what lives with what is wanted only where something was wanted,
leaves the rest to the cluster's other field managers, waits until a thing is ready, and deletes in the foreground. It
has no charts, no YAML files, no lists and no patches of what others own.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue

from sandbox.kubernetes.api import Api, Object, Refused, Unreachable
from sandbox.plugins.bridge import Plugin, Unfinished, aside, plain, properties, serve, words
from sandbox.plugins.kubernetes_diff import differences, normal, pruned, replaces, unknown
from sandbox.plugins.kubernetes_ready import Failed, diagnosis, waiting
from sandbox.polling import poll

CONFIG = words(
    "kubeconfig context cluster namespace enableConfigMapMutable enableSecretMutable enablePatchForce "
    "enableServerSideApply suppressDeprecationWarnings deleteUnreachable upsertExistingObjects kubeClientSettings"
)
INPUTS, MANAGER, PREFIX = "__inputs", "__fieldManager", "pulumi.com/"
LONGEST_SECONDS, APPEAR_SECONDS = 600, 15  # until ready; for what it needs to appear
CLUSTER_WIDE = words(
    "Namespace Node PersistentVolume StorageClass ClusterRole ClusterRoleBinding PriorityClass "
    "CustomResourceDefinition IngressClass RuntimeClass ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"
)
LEFT_ALONE, UNSUPPORTED = ("helm.sh/", "kustomize", "yaml", "index"), "charts, YAML files, lists or patches"


class Kubernetes(Plugin):
    """One cluster; where it is unreachable, only previews work."""

    def __init__(self) -> None:
        super().__init__({}, CONFIG, self._reach)
        self._api: Api | None = None
        self._why, self._namespace, self._force, self._upsert = "not configured", "default", False, False
        self._mutable = words("")

    def _reach(self, config: Mapping[str, Any]) -> None:
        on = {name for name, value in config.items() if str(value).lower() == "true"}
        self._mutable = words("", *({name[6:-7]} for name in on & {"enableConfigMapMutable", "enableSecretMutable"}))
        self._force, self._upsert = "enablePatchForce" in on, "upsertExistingObjects" in on
        try:
            if unknown(dict(config)):
                raise Unreachable("its kubeconfig is not known yet")
            api = Api(*(str(config.get(name) or "") for name in ("kubeconfig", "context", "cluster")))
            self._namespace = str(config.get("namespace") or api.namespace)
            api.call("GET", "/version")
            self._api = api
        except (Unreachable, Refused) as error:
            self._namespace, self._why = str(config.get("namespace") or "default"), str(error)

    @property
    def _cluster(self) -> Api:
        if self._api is None:
            raise RuntimeError(f"configured Kubernetes cluster is unreachable: {self._why}")
        return self._api

    @aside
    def check(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        thing, olds = plain(request.new_inputs), plain(request.old_inputs)
        version, kind = token(request.type)
        if version.startswith(LEFT_ALONE) or kind.endswith(("List", "Patch")):
            raise ValueError(
                f"{version}:{kind} is not supported by this stand-in for the real plugin: no {UNSUPPORTED}"
            )
        metadata = thing.setdefault("metadata", {})
        if isinstance(metadata, dict):
            if not metadata.get("name"):
                metadata |= self._autonamed(request, metadata, olds.get("metadata") or {})
            if self._namespaced(thing) and not metadata.get("namespace"):
                metadata["namespace"] = self._namespace
        return protocol.CheckResponse(properties(thing), [])

    def _autonamed(self, request: protocol.CheckRequest, metadata: Object, before: Object) -> Object:
        """The name it had, else the resource's name and a hash, annotated as generated."""
        note = {f"{PREFIX}autonamed": "true"}
        kept = before.get("name") if note.items() <= (before.get("annotations") or {}).items() else None
        made = f"{request.name}-{hashlib.sha256(request.random_seed).hexdigest()[:8]}"
        return {"name": kept or made, "annotations": {**(metadata.get("annotations") or {}), **note}}

    def _namespaced(self, thing: Object) -> bool:
        if self._api is not None and thing["kind"] not in CLUSTER_WIDE:
            try:
                return self._api.kind(thing["apiVersion"], thing["kind"])[1]
            except Refused:  # its definition may be made by this very program
                return True
        return thing["kind"] not in CLUSTER_WIDE

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        live, new = plain(request.old_state), normal(plain(request.new_inputs))
        old = pruned(normal(live), normal(live.get(INPUTS) or {}))
        ignored = tuple(request.ignore_changes)
        found = {path: kind for path, kind in differences(old, new) if not path.startswith(ignored)}
        again = [path for path in found if replaces(new, path, self._mutable)]
        kinds = {path: f"{kind}_REPLACE" if path in again else kind for path, kind in found.items()}
        detailed = {path: protocol.PropertyDiff(protocol.PropertyDiffKind[kind], False) for path, kind in kinds.items()}
        named = f"{PREFIX}autonamed" not in (new["metadata"].get("annotations") or {})
        place = ("name", "namespace")
        stays = all(new["metadata"].get(key) == live["metadata"].get(key) for key in place)
        return protocol.DiffResponse(
            changes=bool(found),
            replaces=again,
            delete_before_replace=bool(again) and named and stays,
            diffs=sorted({path.split(".")[0] for path in found}),
            detailed_diff=detailed,
        )

    @aside
    def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        thing = plain(request.properties)
        manager = annotation(thing, "patchFieldManager") or manager_of(request.urn)
        if request.preview and (self._api is None or unknown(thing)):
            return protocol.CreateResponse(None, request.properties)
        try:
            live = self._made(thing, manager, request.preview)
        except Refused as error:
            if request.preview and error.status in (403, 404, 409):  # its place does not exist yet, or is taken yet
                return protocol.CreateResponse(None, request.properties)
            raise
        state = checkpoint(live, thing, manager)
        if request.preview:
            state.pop("status", None)
            return protocol.CreateResponse(None, marked(state))
        return protocol.CreateResponse(name_of(live), marked(self._ready(live, thing, manager, request.timeout)))

    def _made(self, thing: Object, manager: str, dry_run: bool) -> Object:
        """Made, unless it exists; tried again for a while when its namespace or its definition does not exist yet."""
        missing = Refused(404, "NotFound", "")

        def made() -> Object | None:
            nonlocal missing
            try:
                if not self._upsert and self._live(thing):
                    what = f"{thing['kind']} {thing['metadata']['name']!r} already exists in the cluster"
                    remedy = "delete it, import it with `pulumi import`, or set upsertExistingObjects"
                    raise Refused(409, "AlreadyExists", f"{what}: {remedy}")
                return self._applied(thing, manager, dry_run)
            except Refused as error:
                if error.status != 404 or dry_run:
                    raise
                missing = error
                return None

        return poll(made, APPEAR_SECONDS, lambda: missing, every=1)

    def _live(self, thing: Object) -> Object | None:
        where = self._cluster.of(thing)
        try:
            return self._cluster.call("GET", where)
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def _applied(self, thing: Object, manager: str, dry_run: bool) -> Object:
        force = self._force or annotation(thing, "patchForce") == "true"
        try:
            return self._cluster.apply(thing, manager, force=force, dry_run=dry_run)
        except Refused as error:
            message = f"the resource managed by field manager {manager!r} had an apply conflict: {error}"
            if error.reason == "Conflict":
                raise Refused(409, "Conflict", f"server-side apply field conflict detected: {message}") from error
            raise

    def _ready(self, live: Object, thing: Object, manager: str, timeout_seconds: float) -> Object:
        """Its state once it is ready, or Unfinished with what a person should know about why it is not."""
        missing = ""

        def settled() -> bool:
            nonlocal live, missing
            live = self._live(thing) or live
            missing = waiting(self._cluster, live)
            return not missing

        def late() -> Failed:
            return Failed(f"timed out waiting for {missing}")

        try:
            if annotation(thing, "skipAwait") != "true":
                poll(settled, timeout_of(thing, timeout_seconds), late, every=0.5)
        except Failed as error:
            name = f"{live['kind']} {name_of(live)}"
            summary = f"{name} was made or changed, but is not ready: {error}"
            reasons = "\n".join((summary, *diagnosis(self._cluster, live)))
            raise Unfinished(name_of(live), checkpoint(live, thing, manager), reasons, hidden(live)) from error
        return checkpoint(live, thing, manager)

    @aside
    def update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        thing, olds = plain(request.news), plain(request.olds)
        if request.preview and (self._api is None or unknown(thing)):
            return protocol.UpdateResponse(request.news)
        manager = annotation(thing, "patchFieldManager") or olds[MANAGER]
        live = self._applied(thing, manager, request.preview)
        if request.preview:
            return protocol.UpdateResponse(marked(checkpoint(live, thing, manager)))
        return protocol.UpdateResponse(marked(self._ready(live, thing, manager, request.timeout)))

    @aside
    def read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        """The live object; its inputs are the fields that were set, or all of them on an import."""
        olds, inputs = plain(request.properties), plain(request.inputs)
        version, kind = token(request.type)
        namespace, _, name = request.resource_id.rpartition("/")
        what = {"apiVersion": version, "kind": kind, **inputs}
        what["metadata"] = {"namespace": namespace, **what.get("metadata", {}), "name": name}
        live = self._live(what)
        if live is None:
            return protocol.ReadResponse()
        shape = normal(inputs) if inputs else {key: part for key, part in normal(live).items() if key != "status"}
        asked = {"apiVersion": what["apiVersion"], "kind": what["kind"], **pruned(normal(live), shape)}
        state = checkpoint(live, asked, olds.get(MANAGER) or manager_of(request.urn))
        return protocol.ReadResponse(request.resource_id, marked(state), properties(asked))

    @aside
    def delete(self, request: protocol.DeleteRequest) -> None:
        """What it owns first, then it; gone when nothing of its name is there, or something newer."""
        olds = plain(request.properties)
        thing = olds.get(INPUTS) or olds
        policy = annotation(thing, "deletionPropagationPolicy").capitalize() or "Foreground"
        try:
            self._cluster.call("DELETE", self._cluster.of(olds), body={"propagationPolicy": policy})
        except Refused as error:
            if error.status == 404:
                return
            raise
        if annotation(thing, "skipAwait") == "true":
            return
        live: Object | None = None

        def gone() -> bool:
            nonlocal live
            live = self._live(olds)
            return not live or live["metadata"]["uid"] != olds["metadata"].get("uid")

        def late() -> RuntimeError:
            assert live
            held = live["metadata"].get("finalizers") or "what it owns"
            return RuntimeError(f"{live['kind']} {name_of(live)}: timed out waiting for its deletion; held by {held}")

        poll(gone, timeout_of(thing, request.timeout), late, every=0.5)


def token(resource_type: str) -> tuple[str, str]:
    """API version and kind of a resource type; the types of its parents stand before it."""
    _, version, kind = resource_type.rsplit("$", 1)[-1].split(":")
    return version.removeprefix("core/"), kind


def annotation(thing: Object, name: str) -> str:
    """One of Pulumi's own annotations, by which a program directs the treatment of an object."""
    notes = (thing.get("metadata") or {}).get("annotations") or {}
    return str(notes.get(f"{PREFIX}{name}") or "") if isinstance(notes, dict) else ""


def timeout_of(thing: Object, timeout_seconds: float) -> float:
    """How long to wait for it: the program's customTimeouts, else its annotation, else ten minutes."""
    return timeout_seconds or float(annotation(thing, "timeoutSeconds") or LONGEST_SECONDS)


def manager_of(urn: str) -> str:
    return f"pulumi-kubernetes-{hashlib.sha256(urn.encode()).hexdigest()[:8]}"


def name_of(live: Object) -> str:
    namespace = live["metadata"].get("namespace")
    return f"{namespace}/{live['metadata']['name']}" if namespace else str(live["metadata"]["name"])


def checkpoint(live: Object, thing: Object, manager: str) -> Object:
    """The state: the live object, the inputs, and the field manager."""
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    return {**live, "metadata": metadata, INPUTS: thing, MANAGER: manager}


def hidden(state: Object) -> frozenset[str]:
    """The secret keys of a state: the inputs hold every secret of theirs."""
    return words(INPUTS, {"data", "stringData"} if state.get("kind") == "Secret" else ())


def marked(state: Object) -> dict[str, PropertyValue]:
    return properties(state, hidden(state))


if __name__ == "__main__":
    serve("pulumi-kubernetes", Kubernetes())
