"""What a change means to whoever is served while it happens."""

import re
from collections.abc import Callable, Mapping

from components.gateway.references import COME_AND_GO
from ops.review.plan import Change

QDRANT_NODE = re.compile(r"qdrant-\d+")
Words = Callable[[Change], str]


def impact(change: Change) -> str:
    """One sentence; empty where the change is only that of a record."""
    if change.kind == "import":
        return "it is there already, and is managed from now on; nothing of it changes"
    if change.type.startswith("rag:"):
        return _component(change)
    words = MEANINGS.get(change.short_type)
    return words(change) if words else ""


def _component(change: Change) -> str:
    """A component makes nothing itself: what it declares is what its children are made of."""
    return "what it declares changes; its parts below say what is done" if change.kind == "change" else ""


def _container(change: Change) -> str:
    if QDRANT_NODE.fullmatch(change.name):
        return {
            "create": f"{change.name} starts, and joins the cluster",
            "replace": f"{change.name} leaves traffic and restarts; reads go on from the others, and the next node "
            "waits until the cluster has settled",
            "delete": f"{change.name} leaves traffic and stops; its replicas must stand elsewhere",
            "change": f"{change.name} is adjusted while it runs",
        }[change.kind]
    return {
        "create": f"{change.name} starts",
        "replace": f"{change.name} stops, and a new one starts: seconds without it",
        "delete": f"{change.name} stops for good",
        "change": f"{change.name} is adjusted while it runs",
    }[change.kind]


def _controller(change: Change) -> str:
    if change.kind == "change":
        if change.short_type == "StatefulSet":
            return "its pods restart one after another; reads go on"
        return "new pods start, and old ones go when those are ready"
    return _plain("its pods start", "all of its pods go, then new ones start", "all of its pods go")(change)


def _volume(change: Change) -> str:
    return {
        "create": "an empty disk",
        "replace": "**the disk and all that is on it are gone**",
        "delete": "**the disk and all that is on it are gone**",
        "change": "",
    }[change.kind]


def _collection(change: Change) -> str:
    if change.kind == "change" and "replication_factor" in change.keys:
        factors = [states.get("replication_factor") for states in (change.before, change.after)]
        return f"shards are copied or dropped until each stands on {factors[1]} nodes (now {factors[0]}); reads go on"
    if change.kind == "delete" and change.kept:
        return "it leaves the state, its points stay where they are"
    return _plain(
        "an empty collection", "**its points are gone**, or go behind another name", "**its points are gone**"
    )(change)


def _secret(change: Change) -> str:
    gone = "**who was given it is refused**, and what was encrypted with it is lost"
    return _plain("made once, and kept", gone, gone)(change)


def _plain(create: str, replace: str, delete: str, changed: str = "") -> Words:
    sentences = {"create": create, "replace": replace, "delete": delete, "change": changed}
    return lambda change: sentences[change.kind]


MEANINGS: Mapping[str, Words] = {
    "Container": _container,
    "Volume": _volume,
    "PersistentVolumeClaim": _volume,
    "StatefulSet": _controller,
    "Deployment": _controller,
    "ReplicatedCollection": _collection,
    "RandomPassword": _secret,
    "Route": _plain("a path is opened, behind its guards", "closed for a moment", "a path is closed", "another path"),
    "Plugin": _plain("a guard is set", "a guard is away for a moment", "**a guard is taken away**", "a guard changes"),
    "ConsumerJwtAuth": _plain("a key is accepted", "tokens of the old key end", "tokens of this key end"),
    "ClusterSettled": _plain("waits until the cluster has settled", "", "", "waits until the cluster has settled"),
    "NetworkPolicy": _plain(
        "", "", "**what it closed is open**, unless another closes it", "who may call whom changes"
    ),
    "PodDisruptionBudget": _plain("", "", "**several pods may be taken away at once**", ""),
}


def holds_data(change: Change) -> bool:
    """Whether what is gone with this change cannot be had again: disks, collections, secrets that others were given."""
    made_again = change.short_type == "RandomPassword" and change.name.startswith(MADE_AGAIN)
    return change.short_type in DATA and not made_again


DATA = {"Volume", "PersistentVolumeClaim", "PersistentVolume", "StatefulSet", "ReplicatedCollection", "RandomPassword"}


MADE_AGAIN = ("gatewayJwt-", *COME_AND_GO)  # and keys that are rotated


def lost(change: Change) -> str:
    """Why the gate stops this change; empty when it may go on."""
    if change.kind not in ("delete", "replace") or change.kept or not holds_data(change):
        return ""
    return f"{change.short_type} {change.name} would be {change.kind}d"
