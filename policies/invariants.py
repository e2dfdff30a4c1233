"""What must hold of a stack, as predicates over plain values: settings refuse a breach, rules find it anywhere."""

from collections.abc import Collection
from ipaddress import ip_address, ip_network
from itertools import product

from policies.versions import ImageReference

WITHOUT_TOKEN = "without-service-token"  # noqa: S105  the tag of a service that is not given it
# Where a cloud hands its machine's credentials, or its configuration, to any process on the machine that asks.
METADATA_ADDRESSES = (
    "169.254.169.254",  # AWS, Google, Azure, Oracle, DigitalOcean, OpenStack
    *("169.254.170.2", "169.254.170.23"),  # ECS, EKS
    *("100.100.100.200", "168.63.129.16", "192.0.0.192"),  # Alibaba, Azure's WireServer, Oracle's first
    *("fd00:ec2::254", "fd20:ce::254"),  # AWS, Google
)


def keeps_a_majority(nodes: int, fewest: int = 3) -> bool:
    """An odd number of nodes, and enough of them: the cluster goes on deciding when one is lost."""
    return nodes >= fewest and nodes % 2 == 1


def replicas_fit(replication_factor: int, nodes: int) -> bool:
    """Each replica of a shard has a node of its own."""
    return replication_factor <= nodes


# Inputs of the ObservabilityStack that name a receiver of alerts, each enough by itself.
RECEIVERS = ("alert_webhook", "alert_slack_url", "alert_pagerduty_key", "alert_mail_to")


def limit_holds(rate_limit_policy: str, gateway_nodes: int) -> bool:
    """Nodes that count for themselves (`local`) let the limit through once each."""
    return rate_limit_policy != "local" or gateway_nodes <= 1


def names_a_proxy(address: str) -> bool:
    """An address or network, and not all there are; ValueError for text that is neither."""
    return ip_network(address.strip(), strict=False).prefixlen > 0


def tokens_expire(claims_to_verify: Collection[str]) -> bool:
    """Kong's jwt plugin verifies `exp` only where it is named: without, a leaked token is good for ever."""
    return "exp" in claims_to_verify


def brings_back(interval_seconds: float, successes: int) -> bool:
    """Active checks with these settings return a target to use; passive checks never do."""
    return bool(interval_seconds and successes)


def has_moving_tag(reference: str) -> bool:
    """The image's tag is missing, or is one that is moved on purpose, with a digest or without."""
    return ImageReference.parse(reference).moves


def header_variants(header: str) -> tuple[str, ...]:
    """The header with a dash or an underscore at each joint: some servers take them for the same header."""
    head, *words = header.split("-")
    return tuple(
        head + "".join(joint + word for joint, word in zip(joints, words, strict=True))
        for joints in product("-_", repeat=len(words))
    )


def open_metadata(block: str, exceptions: Collection[str]) -> list[str]:
    """The metadata services in a block of addresses that has these exceptions; ValueError for text that is no block."""
    whole, holes = ip_network(block), [ip_network(hole) for hole in exceptions]
    inside = [address for address in METADATA_ADDRESSES if ip_address(address) in whole]
    return [address for address in inside if not any(ip_address(address) in hole for hole in holes)]
