"""What a running cluster may not become in one step: rules that need the state before, which no policy pack is shown.

`ops preview` and `ops up` read the old and the new inputs from the engine's own preview, and ask here.
"""

from policies.declared import NODES, QDRANT, environment, workload
from policies.rule import Subject, Violation, Violations, rule
from policies.versions import ImageReference

PEER_TLS = "QDRANT__CLUSTER__P2P__ENABLE_TLS"


@rule(
    on=QDRANT,
    reason="Qdrant promises that a node reads what the minor version before it wrote, and no older; nor does a newer "
    "disk open in an older node.",
    remedy="Go from one minor version to the next, with a settled cluster between them; never back.",
)
def upgrades_skip_no_minor_version(before: Subject, after: Subject) -> Violations:
    """An upgrade of Qdrant goes one minor version at a time, and never back."""
    old, new = _version(before), _version(after)
    if old is None or new is None or new == old or new == (old[0], old[1] + 1):
        return
    text = f"goes from {_text(old)} to {_text(new)} in one step; "
    text += "restore a snapshot instead" if new < old else f"go to {_text((old[0], old[1] + 1))} first"
    yield Violation(after.at(NODES), text)


@rule(
    on=QDRANT,
    reason="Nodes with peer TLS and nodes without cannot connect: while it is switched there is no cluster.",
    remedy="Decide on it when the cluster is founded; to switch, make a second cluster and copy the collections.",
)
def peer_tls_stays_as_it_is(before: Subject, after: Subject) -> Violations:
    """TLS between the nodes is not switched while they live."""
    old, new = _peer_tls(before), _peer_tls(after)
    if old != new:
        yield Violation(after.at(NODES), f"{PEER_TLS} goes from {old} to {new}; leave it at {old}")


def _version(subject: Subject) -> tuple[int, int] | None:
    """Major and minor; None for an image whose reference has none: a digest alone, or a hash."""
    version = ImageReference.parse(str(workload(subject, NODES).get("image", ""))).version
    return (version[0], version[1]) if version and len(version) > 1 else None


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _peer_tls(subject: Subject) -> str:
    return environment(workload(subject, NODES)).get(PEER_TLS, "false").lower()


TRANSITIONS = (upgrades_skip_no_minor_version, peer_tls_stays_as_it_is)
