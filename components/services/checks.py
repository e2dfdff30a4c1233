"""What is wrong with a stack's services as a whole: found before anything is made, all of it at once."""

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations

from components.services.entry import RouteEntry, ServiceEntry
from components.services.references import mistakes
from components.services.services import folder_name
from platforms.workload import THIS_MACHINE
from policies.invariants import has_moving_tag

# Names that the platform's own workloads have, on the network and in the namespace.
RESERVED = frozenset(
    {
        *("qdrant", "haproxy", "kong", "kong-migrations", "postgres", "valkey"),
        *("prometheus", "grafana", "alertmanager", "postgres-exporter", "valkey-exporter", "collection"),
    }
)
LOOPBACK = ("localhost", "127.")


def service_mistakes(
    entries: Mapping[str, ServiceEntry],
    *,
    platform: str,
    secrets: Collection[str],
    flood_burst: int,
    collections: Collection[str] = (),
) -> list[str]:
    """Each as `services.<name>.<field>: expected, found, what to do`."""
    found = [
        f"services.{name}.{mistake}"
        for name, entry in entries.items()
        for mistake in (
            *_names(name, entry, entries),
            *mistakes(entry, entries, secrets, collections),
            *(_on_docker if platform == "docker" else _on_kubernetes)(entry),
            *_limits(entry, flood_burst),
            *_probe(entry),
        )
    ]
    return [*found, *_builds(entries), *_overlaps(entries)]


def _names(name: str, entry: ServiceEntry, entries: Mapping[str, ServiceEntry]) -> Iterator[str]:
    if name in RESERVED:
        yield f"name: expected a name of its own, found {name}, which is a part of the platform; rename it"
    if entry.image and "@sha256:" not in entry.image and has_moving_tag(entry.image):
        yield f"image: expected one pinned by tag or digest, such as you/api:1.4.2; found {entry.image!r}"
    for address in entry.connects_to:
        neighbour = address.rpartition(":")[0]
        if neighbour not in RESERVED | entries.keys():
            yield f"connectsTo: expected a service of this stack, found {neighbour!r}; name a port in reachesOut"
    for address in entry.at:
        if address.startswith(LOOPBACK):
            yield f"at: expected an address that the gateway reaches, found its own, {address}; write {THIS_MACHINE}"


def _on_docker(entry: ServiceEntry) -> Iterator[str]:
    if entry.replicas > 1 and entry.published_port:
        yield f"publishedPort: expected one replica behind it, found {entry.replicas}; leave one of the two out"


def _on_kubernetes(entry: ServiceEntry) -> Iterator[str]:
    if entry.build:
        yield f"build: expected a pushed image, found the folder {entry.build}: Kubernetes builds nothing; set image"
    if entry.folders:
        yield f"folders: expected none, found {', '.join(entry.folders.values())}: pods see no folder of this machine"
    if entry.networks:
        yield "networks: expected none, found Docker's; on Kubernetes name the Service: name.namespace.svc:port"
    if any(address.startswith(f"{THIS_MACHINE}:") for address in entry.at):
        yield f"at: expected an address that pods reach, found {THIS_MACHINE}, which Docker alone knows"


def _limits(entry: ServiceEntry, flood_burst: int) -> Iterator[str]:
    for number, route in enumerate(entry.routes):
        if (limit := route.rate_limit_per_minute or 1) > flood_burst:
            yield (
                f"routes.{number}.rateLimitPerMinute: expected at most gatewayFloodBurst ({flood_burst}), so that "
                f"the limit answers first, found {limit}; raise that, or lower this"
            )


def _probe(entry: ServiceEntry) -> Iterator[str]:
    probe = entry.probe
    if probe is None:
        return
    leads = [route for route in entry.routes if any(probe.path.startswith(path) for path in route.paths)]
    if not any(probe.method in route.methods for route in leads):
        yield (
            f"probe: expected a method and a path that one of its routes takes, found {probe.method} {probe.path}; "
            "correct it, or add the route"
        )


def _builds(entries: Mapping[str, ServiceEntry]) -> Iterator[str]:
    """An image is named after its folder."""
    folders: dict[str, str] = {}
    for name, entry in entries.items():
        if entry.build and (other := folders.setdefault(folder_name(entry), entry.build)) != entry.build:
            yield (
                f"services.{name}.build: expected another last part than that of {other}, found {entry.build}: their "
                "images would share a name; rename the folder"
            )


def _overlaps(entries: Mapping[str, ServiceEntry]) -> Iterator[str]:
    """Kong prefers the longest path: only equal ones with a method in common leave it to chance."""
    routes = [(name, route) for name, entry in entries.items() for route in entry.routes]
    for (first, one), (second, other) in combinations(routes, 2):
        common, methods = _paths(one) & _paths(other), sorted({*one.methods} & {*other.methods})
        if common and methods:
            yield (
                f"services.{second}.routes: expected paths of its own, found {', '.join(sorted(common))} "
                f"({', '.join(methods)}) at {first} too; change one of them"
            )


def _paths(route: RouteEntry) -> set[str]:
    return {path.rstrip("/") or "/" for path in route.paths}
