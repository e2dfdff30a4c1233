"""What differs between an object as it lives and as it is wanted, and what of that cannot be changed in place."""

import base64
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from pulumi.provider.experimental.property_value import Computed

from sandbox.plugins.bridge import UNKNOWN, Words, words

Object = dict[str, Any]

ALWAYS = words("metadata.name metadata.namespace kind apiVersion")
# As the real plugin has it: of these kinds a change of these fields makes a new object.
REPLACING: Mapping[str, Words] = {
    "Deployment": words("spec.selector"),
    "DaemonSet": words("spec.selector"),
    "StatefulSet": words(
        "spec.podManagementPolicy spec.revisionHistoryLimit spec.selector spec.serviceName spec.volumeClaimTemplates"
    ),
    "Job": words("spec.completions spec.parallelism spec.selector spec.template"),
    "PersistentVolumeClaim": words("spec.accessModes spec.selector spec.storageClassName spec.volumeName"),
    "Service": words("spec.clusterIP"),
    "StorageClass": words("parameters provisioner"),
    "RoleBinding": words("roleRef"),
    "ClusterRoleBinding": words("roleRef"),
    "ResourceQuota": words("spec.scopes"),
    "Pod": words("spec"),
    "ConfigMap": words("data binaryData"),
    "Secret": words("type data"),
}
SCALES = {suffix: Fraction(1000) ** power for power, suffix in enumerate(("n", "u", "m", "", "k", "M", "G", "T"), -3)}
SCALES |= {f"{suffix}i": Fraction(1024) ** power for power, suffix in enumerate("KMGT", 1)}
AMOUNTS = words("requests limits capacity hard storage sizeLimit divisor")
READ_ONLY = words("creationTimestamp deletionTimestamp generation managedFields resourceVersion uid selfLink")


def unknown(value: Any) -> bool:
    """Whether something in it will be known only later."""
    if isinstance(value, dict):
        return any(unknown(part) for part in value.values())
    if isinstance(value, list):
        return any(unknown(part) for part in value)
    return isinstance(value, Computed) or value == UNKNOWN


def pruned(live: Any, shape: Any) -> Any:
    """The fields of a live object that the program set; the rest is the cluster's own."""
    if isinstance(live, dict) and isinstance(shape, dict):
        return {key: pruned(live[key], asked) for key, asked in shape.items() if key in live}
    if isinstance(live, list) and isinstance(shape, list):
        return [pruned(part, asked) for part, asked in zip(live, shape, strict=False)]
    return live


def normal(thing: Object) -> Object:
    """As the server would have it: a secret's texts are data, and what only the server writes is not there."""
    metadata = {key: value for key, value in thing.get("metadata", {}).items() if key not in READ_ONLY}
    thing = {**thing, "metadata": metadata}
    texts = thing.get("stringData")
    if thing.get("kind") == "Secret" and isinstance(texts, dict):
        coded = {
            key: text if unknown(text) else base64.b64encode(text.encode()).decode() for key, text in texts.items()
        }
        thing = {key: value for key, value in thing.items() if key != "stringData"}
        thing["data"] = {**(thing.get("data") or {}), **coded}
    return thing


def differences(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Where they differ, and whether that is an ADD, a DELETE or an UPDATE."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from differences(before, after, (*path, f"[{place}]"))
    elif not same(old, new, path):
        kind = "UPDATE" if old is not None and new is not None else "ADD" if old is None else "DELETE"
        yield ".".join(path).replace(".[", "["), kind


def same(old: Any, new: Any, path: tuple[str, ...]) -> bool:
    """Whether the server would keep both as one: it omits empty values and normalizes quantities."""
    if old is None or new is None:
        return not old and not new
    if AMOUNTS & set(path):
        return bool(amount(old) == amount(new))
    return bool(old == new)


def amount(value: Any) -> Any:
    """A quantity such as 500m or 1Gi as a number."""
    found = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", str(value))
    return Fraction(found[1]) * SCALES[found[2]] if found and found[2] in SCALES else value


def replaces(thing: Object, path: str, mutable: Words) -> bool:
    """Whether that field of it cannot be changed: `mutable` names the kinds whose data the user lets change."""
    kind = thing["kind"]
    frozen = ALWAYS | (
        REPLACING.get(kind, frozenset()) if kind not in mutable or thing.get("immutable") else frozenset()
    )
    plain = re.sub(r"\[\d+\]", "", path)
    return any(f"{plain}.".startswith(f"{field}.") for field in frozen)
