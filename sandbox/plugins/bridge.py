"""What the stand-in plugins share: Pulumi's provider protocol, with the manners of a bridged Terraform provider.

Defaults are inputs, and stick to their old value after a refresh; an explicit name means delete before replace; what
fails after it came to exist is saved with its error; and the engine, not the plugin, keeps secrets secret: an output is
secret when the input of the same name is.
"""

import asyncio
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, ClassVar

import grpc
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental import server
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime import rpc
from pulumi.runtime.proto import ErrorResourceInitFailed, status_pb2

State = dict[str, Any]
Words = frozenset[str]
Failures = Iterator[tuple[str, str]]
DEFAULTS = "__defaults"
UNKNOWN: str = rpc.UNKNOWN


def words(text: str) -> Words:
    """A set of names, written as one line."""
    return frozenset(text.split())


class GoneError(RuntimeError):
    """What was to be read or deleted does not exist any more."""


class UnfinishedError(RuntimeError):
    """A resource exists but could not be finished."""

    def __init__(self, resource_id: str, state: State, reason: object) -> None:
        super().__init__(reason)
        self.resource_id, self.state = resource_id, state


@contextmanager
def unfinished(resource_id: str, state: State) -> Iterator[None]:
    """Whatever fails inside leaves the resource saved, together with the error."""
    try:
        yield
    except Exception as error:
        raise UnfinishedError(resource_id, state, error) from error


class Resource:
    """One resource type: its inputs, what changing each of them means, and how to make it so."""

    required: Words = words("")
    replacing: Words = words("")  # a change makes a new resource
    updating: Words = words("")  # a change is an update, whether or not update() does anything about it
    computed: Words = words("")  # of these: keep what the system chose when they are left out
    unordered: Words = words("")
    nested: ClassVar[Mapping[str, Words]] = {}
    defaults: ClassVar[State] = {}
    outputs: Words = words("")  # known only after creation
    secrets: Words = words("")
    autonamed = True
    deletes_first = False

    def create(self, inputs: State) -> tuple[str, State]:
        raise NotImplementedError

    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        return resource_id, state

    def update(self, resource_id: str, olds: State, news: State) -> State:
        return news

    def delete(self, resource_id: str, state: State) -> None:
        """Nothing remains to be removed."""

    def failures(self, inputs: State) -> Failures:
        """The inputs that are missing or that this stand-in does not know, each with a reason."""
        yield from ((name, f"expected {name}, found nothing") for name in sorted(self.required - inputs.keys()))
        yield from unsupported(inputs, self.inputs)
        for name, known in self.nested.items():
            value = inputs.get(name, [])
            for entry in value if isinstance(value, list) else [value]:
                yield from unsupported(entry, known, f"{name}.")

    def same(self, name: str, old: Any, new: Any) -> bool:
        unordered = name in self.unordered
        return (name in self.computed and not new) or bool(canonical(old, unordered) == canonical(new, unordered))

    @property
    def inputs(self) -> Words:
        return self.replacing | self.updating

    def completed(self, inputs: State, olds: State, name: str) -> State:
        """The inputs with their defaults, and a list of which these are."""
        defaults = {**self.defaults, **({"name": name} if self.autonamed else {})}
        sticky = olds.get(DEFAULTS, olds)  # a refresh drops the list: from then on every old value sticks
        chosen = {k: olds[k] if k in olds and k in sticky else v for k, v in defaults.items() if k not in inputs}
        return {**inputs, **chosen, DEFAULTS: sorted(chosen)}

    def changes(self, olds: State, news: State) -> dict[str, protocol.PropertyDiff]:
        found = {}
        for name in sorted(self.inputs):
            old, new = olds.get(name), news.get(name)
            if not self.same(name, old, new):
                kind = ("UPDATE" if old and new else "ADD" if new else "DELETE") + "_REPLACE" * (name in self.replacing)
                found[name] = protocol.PropertyDiff(protocol.PropertyDiffKind[kind], input_diff=False)
        return found

    def planned(self, olds: State, news: State) -> State:
        """The state after an update, as far as it can be foreseen."""
        left_out = self.inputs - self.computed - news.keys()
        return {**{name: value for name, value in olds.items() if name not in left_out}, **news}


def canonical(value: Any, unordered: bool = False) -> Any:
    """A value as Terraform compares it: what is empty is absent, and sets have no order."""
    if isinstance(value, dict):
        return {k: c for k, v in sorted(value.items()) if (c := canonical(v, unordered))}
    if isinstance(value, list):
        items = [canonical(v, unordered) for v in value]
        return sorted(items, key=repr) if unordered else items
    return value


def unsupported(given: Any, known: Words, where: str = "") -> Failures:
    reason = f"not supported by this stand-in for the real plugin; supported are: {', '.join(sorted(known))}"
    yield from ((where + name, reason) for name in (given if isinstance(given, dict) else ()) if name not in known)


def plain(value: Any) -> Any:
    """A property value as Python has it: whole numbers are ints, and nothing is secret any more."""
    value = value.value if isinstance(value, PropertyValue) else value
    if isinstance(value, Mapping):
        return {k: p for k, v in value.items() if k != DEFAULTS and (p := plain(v)) is not None}
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def wire(value: Any) -> PropertyValue:
    if isinstance(value, dict):
        return PropertyValue(properties(value))
    if isinstance(value, list):
        return PropertyValue([wire(v) for v in value])
    return PropertyValue(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def properties(state: State, secrets: Words = frozenset()) -> dict[str, PropertyValue]:
    return {k: wire(v).with_secret(k in secrets) for k, v in state.items() if v is not None}


class Plugin(protocol.Provider):
    """A provider of the given resource types; `connect` gets its configuration before anything else happens."""

    def __init__(self, resources: Mapping[str, Resource], config: Words, connect: Callable[[State], None]) -> None:
        self._resources, self._config, self._connect = resources, config, connect
        self._threads = ThreadPoolExecutor(32)  # a create may wait a minute for health; the others must not wait for it

    async def check_config(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        strange = unsupported(plain(request.new_inputs), self._config | words("version pluginDownloadURL"))
        return protocol.CheckResponse(request.new_inputs, [protocol.CheckFailure(*failure) for failure in strange])

    async def configure(self, request: protocol.ConfigureRequest) -> protocol.ConfigureResponse:
        await self._aside(self._connect, plain(request.args))
        return protocol.ConfigureResponse(supports_preview=True)  # and no accept_secrets, as no bridged provider does

    async def check(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        resource, inputs, olds = self._of(request), plain(request.new_inputs), plain(request.old_inputs)
        if DEFAULTS in request.old_inputs:
            olds[DEFAULTS] = [str(name.value) for name in request.old_inputs[DEFAULTS].value]
        name = f"{request.name}-{hashlib.sha256(request.random_seed).hexdigest()[:7]}"
        failures = [protocol.CheckFailure(*failure) for failure in resource.failures(inputs)]
        return protocol.CheckResponse(properties(resource.completed(inputs, olds, name)), failures)

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        resource = self._of(request)
        changes = resource.changes(plain(request.old_state), plain(request.new_inputs))
        found = {name: change for name, change in changes.items() if name not in request.ignore_changes}
        replaces = sorted(found.keys() & resource.replacing)
        named = resource.autonamed and "name" not in str(request.new_inputs.get(DEFAULTS, "name"))
        return protocol.DiffResponse(
            changes=bool(found),
            replaces=replaces,
            stables=sorted(resource.replacing - found.keys()),
            delete_before_replace=bool(replaces) and (resource.deletes_first or named),
            diffs=list(found),
            detailed_diff=found,
        )

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        resource, inputs = self._of(request), plain(request.properties)
        if request.preview:
            return protocol.CreateResponse(None, properties(dict.fromkeys(resource.outputs, UNKNOWN) | inputs))
        resource_id, state = await self._aside(resource.create, inputs)
        return protocol.CreateResponse(resource_id, properties(state, resource.secrets))

    async def read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        resource = self._of(request)
        try:
            resource_id, state = await self._aside(resource.read, request.resource_id, plain(request.properties))
        except GoneError:
            return protocol.ReadResponse()
        inputs = {name: state[name] for name in request.inputs if name in state}
        return protocol.ReadResponse(resource_id, properties(state, resource.secrets), properties(inputs))

    async def update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        resource, olds = self._of(request), plain(request.olds)
        state = resource.planned(olds, plain(request.news))
        if not request.preview:
            with unfinished(request.resource_id, state):
                state = await self._aside(resource.update, request.resource_id, olds, state)
        return protocol.UpdateResponse(properties(state, resource.secrets))

    async def delete(self, request: protocol.DeleteRequest) -> None:
        try:
            await self._aside(self._of(request).delete, request.resource_id, plain(request.properties))
        except GoneError:
            return

    async def invoke(self, request: protocol.InvokeRequest) -> protocol.InvokeResponse:
        raise ValueError(f"{request.tok}: this stand-in for the real plugin has no functions")

    def _of(self, request: Any) -> Resource:
        token = request.type.rsplit("$", 1)[-1]  # the types of its parents stand before it
        for _, reason in unsupported({token: None}, frozenset(self._resources)):
            raise ValueError(f"{token}: {reason}")
        return self._resources[token]

    async def _aside(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)


class Servicer(server.ProviderServicer):
    """Errors as people read them, without a traceback; and what was made but not finished is kept."""


def _answering(call: str) -> Callable[..., Any]:
    inner = getattr(server.ProviderServicer, call)

    async def answer(self: Servicer, request: Any, context: grpc.aio.ServicerContext) -> Any:
        try:
            return await inner(self, request, context)
        except Exception as wrapped:
            error = wrapped.__context__ or wrapped  # the SDK wraps every error to add its traceback
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
        if isinstance(error, UnfinishedError):
            state = PropertyValue.marshal_map(properties(error.state))
            failed = ErrorResourceInitFailed(id=error.resource_id, properties=state, reasons=[str(error)])
            status.details.add().Pack(failed)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        return await context.abort(grpc.StatusCode.UNKNOWN, str(error))

    return answer


for _call in ("CheckConfig", "Configure", "Check", "Diff", "Create", "Read", "Update", "Delete", "Invoke"):
    setattr(Servicer, _call, _answering(_call))


def serve(distribution: str, plugin: Plugin) -> None:
    """Run as the plugin of that SDK, at its version, until the engine is done."""
    server.ProviderServicer = Servicer  # type: ignore[misc]  # main() has no other way in
    server.main(sys.argv[1:], version(distribution), plugin)
