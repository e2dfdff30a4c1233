"""References in a service's settings: `${qdrant.url}` and the like, for what only the platform knows."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import pulumi

from components.qdrant.haproxy import GRPC, HTTP
from components.services.entry import ServiceEntry
from platforms.base import Service
from platforms.workload import AllowedConnection, port_of

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_SECRET, _SERVICE, _COLLECTION = "secret.", "service.", "collection."


@dataclass(frozen=True, kw_only=True)
class Known:
    """What one reference stands for, and the connections and outside ports that using it needs.

    Only a secret may be an Output: what is no secret is known before anything runs.
    """

    value: pulumi.Input[str]
    secret: bool = False
    connections: tuple[AllowedConnection, ...] = ()
    reaches_out: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A text with its references replaced, and what its use needs."""

    value: pulumi.Input[str]
    connections: tuple[AllowedConnection, ...] = ()
    reaches_out: tuple[int, ...] = ()


def references_in(text: str) -> Iterator[str]:
    """The names between `${` and `}`, in their order."""
    return (found.group(1) for found in _REFERENCE.finditer(text))


def secret_names(entries: Mapping[str, ServiceEntry]) -> list[str]:
    """The secrets of the stack file that the services name as `${secret.<name>}`, sorted."""
    named = (name for entry in entries.values() for _, text, _ in entry.texts() for name in references_in(text))
    return sorted({name.removeprefix(_SECRET) for name in named if name.startswith(_SECRET)})


def resolve(text: str, known: Mapping[str, Known]) -> Resolved:
    """The text with each reference replaced; KeyError for a name that is not known (`mistakes` finds it before)."""
    names = dict.fromkeys(references_in(text))
    used = [known[name] for name in names]
    values = {name: known[name].value for name in names}
    secret = any(each.secret for each in used)
    value: pulumi.Input[str]
    if secret:
        value = pulumi.Output.secret(pulumi.Output.all(**values).apply(lambda found: _filled(text, found)))
    else:
        value = _filled(text, {name: str(found) for name, found in values.items()})
    return Resolved(
        value=value,
        connections=tuple(connection for each in used for connection in each.connections),
        reaches_out=tuple(port for each in used for port in each.reaches_out),
    )


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda found: values[found.group(1)], text)


# Name -> whether it is a secret; `service.<name>.…` and `secret.<name>` come from the stack file.
OF_THE_PLATFORM: Mapping[str, bool] = {
    "qdrant.url": False,
    "qdrant.grpc": False,
    "qdrant.apiKey": True,
    "qdrant.readOnlyApiKey": True,
    "collection": False,
    "gateway.serviceToken": True,
    "traces.url": False,
}


def platform_references(
    *,
    balancer: Service,
    api_key: pulumi.Input[str],
    read_only_api_key: pulumi.Input[str],
    collection: str,
    collections: Mapping[str, str],
    service_token: pulumi.Input[str],
    traces_url: str,
    secrets: Mapping[str, pulumi.Input[str]],
) -> dict[str, Known]:
    """What each name of `OF_THE_PLATFORM`, and each secret of the stack file, stands for in this stack."""
    rest, grpc = balancer.connection(HTTP), balancer.connection(GRPC)
    return {
        "qdrant.url": Known(value=balancer.url(HTTP), connections=(rest,)),
        "qdrant.grpc": Known(value=grpc.address, connections=(grpc,)),
        "qdrant.apiKey": Known(value=api_key, secret=True),
        "qdrant.readOnlyApiKey": Known(value=read_only_api_key, secret=True),
        "collection": Known(value=collection),
        **{f"{_COLLECTION}{name}": Known(value=alias) for name, alias in collections.items()},
        "gateway.serviceToken": Known(value=service_token, secret=True),
        "traces.url": Known(value=traces_url, reaches_out=port_of(traces_url)),
        **{f"{_SECRET}{name}": Known(value=value, secret=True) for name, value in secrets.items()},
    }


def mistakes(
    entry: ServiceEntry, entries: Mapping[str, ServiceEntry], secrets: Collection[str], collections: Collection[str]
) -> Iterator[str]:
    """What is wrong with the references of a service, as `field: expected, found, what to do`."""
    known = {
        **OF_THE_PLATFORM,
        **{f"{_SERVICE}{name}.{part}": False for name in entries for part in ("url", "address")},
        **{f"{_SECRET}{name}": True for name in secrets},
        **{f"{_COLLECTION}{name}": False for name in collections},
    }
    for where, text, may_be_secret in entry.texts():
        for name in references_in(text):
            if name not in known:
                yield f"{where}: expected one of {', '.join(sorted(known))} in ${{}}, found {name!r}{_advice(name)}"
            elif known[name] and not may_be_secret:
                yield f"{where}: expected no secret in plain env, found ${{{name}}}; name it in secretFiles"


def _advice(name: str) -> str:
    if name.startswith(_SECRET):
        secret = name.removeprefix(_SECRET)
        return f"; set it: pulumi config set --secret --path 'rag-platform:serviceSecrets.{secret}'"
    return ""
