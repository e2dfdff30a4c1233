"""What the stand-in plugins share: Pulumi's provider protocol, with the manners of a bridged Terraform provider.

Defaults are inputs, and stick to their old value after a refresh; an explicit name means delete before replace; what
fails after it came to exist is saved with its error; and the engine, not the plugin, keeps secrets secret: an output is
secret when the input of the same name is.
"""

import asyncio
import hashlib
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, TypeVar

import grpc
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental import server
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime import rpc
from pulumi.runtime.proto import ErrorResourceInitFailed, status_pb2

State = dict[str, Any]
Made = TypeVar("Made")
Asked = TypeVar("Asked")
Words = frozenset[str]
DEFAULTS = "__defaults"
UNKNOWN: str = rpc.UNKNOWN
NONE: Words = frozenset()


def words(text: str, *more: Iterable[str]) -> Words:
    """A set of names, written as one line."""
    return frozenset(text.split()).union(*more)


class Gone(RuntimeError):
    """What was to be read or deleted does not exist any more."""


class Unfinished(RuntimeError):
    """A resource exists but could not be finished."""

    def __init__(self, resource_id: str, state: State, reason: object, secrets: Words = NONE) -> None:
        super().__init__(reason)
        self.resource_id, self.state, self.secrets = resource_id, state, secrets


@contextmanager
def unfinished(resource_id: str, state: State) -> Iterator[None]:
    """Whatever fails inside leaves the resource saved, together with the error."""
    try:
        yield
    except Exception as error:
        raise Unfinished(resource_id, state, error) from error


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The inputs of a resource type, and what changing each of them means."""

    replacing: Words = NONE  # a change makes a new resource
    updating: Words = NONE  # a change is an update, whether or not that does anything about it
    required: Words = NONE
    computed: Words = NONE  # left out, they keep what the system chose
    unordered: Words = NONE
    nested: Mapping[str, Words] = field(default_factory=dict)
    defaults: State = field(default_factory=dict)
    alike: Mapping[str, Callable[[Any, Any], bool]] = field(default_factory=dict)  # inputs compared in their own way
    checks: Mapping[str, Callable[[Any], object]] = field(default_factory=dict)  # each raises a ValueError
    outputs: Words = NONE  # known only after creation
    secrets: Words = NONE
    autonamed: bool = True
    deletes_first: bool = False

    @property
    def inputs(self) -> Words:
        return self.replacing | self.updating

    def failures(self, inputs: State) -> Iterator[protocol.CheckFailure]:
        """The inputs that are missing, or that this stand-in does not know."""
        for name in sorted(self.required - inputs.keys()):
            yield protocol.CheckFailure(name, f"expected {name}, found nothing")
        yield from unsupported(inputs, self.inputs)
        for name, known in self.nested.items():
            value = inputs.get(name, [])
            for entry in value if isinstance(value, list) else [value]:
                yield from unsupported(entry, known)
        for name, check in self.checks.items():
            try:
                check(inputs.get(name))
            except ValueError as error:
                yield protocol.CheckFailure(name, str(error))

    def completed(self, inputs: State, olds: State, name: str) -> State:
        """The inputs with their defaults, and a list of which these are."""
        defaults = {**self.defaults, **({"name": name} if self.autonamed else {})}
        sticky = olds.get(DEFAULTS, olds)  # a refresh drops the list: from then on every old value sticks
        chosen = {k: olds[k] if k in olds and k in sticky else v for k, v in defaults.items() if k not in inputs}
        return {**inputs, **chosen, DEFAULTS: sorted(chosen)}

    def same(self, name: str, old: Any, new: Any) -> bool:
        if name in self.computed and not new:
            return True
        if name in self.alike:
            return self.alike[name](old, new)
        return bool(canonical(old, name in self.unordered) == canonical(new, name in self.unordered))

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


class Resource:
    """How to make, see, change and remove a resource of one type."""

    schema: Schema

    def create(self, inputs: State) -> tuple[str, State]:
        raise NotImplementedError

    def read(self, resource_id: str, state: State) -> tuple[str, State]:
        return resource_id, state

    def update(self, resource_id: str, olds: State, news: State) -> State:
        return news

    def delete(self, resource_id: str, state: State) -> None:
        """Nothing remains that would have to be removed."""


def unsupported(given: Any, known: Words) -> Iterator[protocol.CheckFailure]:
    reason = f"not supported by this stand-in for the real plugin; supported are: {', '.join(sorted(known))}"
    names = sorted(given.keys() - known) if isinstance(given, dict) else ()
    yield from (protocol.CheckFailure(name, reason) for name in names)


def canonical(value: Any, unordered: bool = False) -> Any:
    """A value as Terraform compares it: what is empty is absent, and sets have no order."""
    if isinstance(value, dict):
        return {k: c for k, v in sorted(value.items()) if (c := canonical(v, unordered))}
    if isinstance(value, list):
        items = [canonical(v, unordered) for v in value]
        return (sorted(items, key=repr) if unordered else items) or None
    return value or None


def plain(value: Any) -> Any:
    """A property value as Python has it: whole numbers are ints, and nothing is secret any more."""
    value = value.value if isinstance(value, PropertyValue) else value
    if isinstance(value, Mapping):
        return {k: p for k, v in value.items() if (p := plain(v)) is not None}
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def wire(value: Any) -> PropertyValue:
    if isinstance(value, dict):
        return PropertyValue(properties(value))
    if isinstance(value, list):
        return PropertyValue([wire(v) for v in value])
    return PropertyValue(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def properties(state: State, secrets: Words = NONE) -> dict[str, PropertyValue]:
    return {k: wire(v).with_secret(k in secrets) for k, v in state.items() if v is not None}


class Plugin(protocol.Provider):
    """A provider of the given resource types; `connect` gets its configuration before anything else happens."""

    def __init__(self, resources: Mapping[str, Resource], config: Words, connect: Callable[[State], None]) -> None:
        self._resources, self._config, self._connect = resources, config, connect
        self._threads = ThreadPoolExecutor(32)  # a create may wait a minute for health; the others must not wait for it

    async def check_config(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        strange = unsupported(plain(request.new_inputs), self._config | words("version pluginDownloadURL"))
        return protocol.CheckResponse(request.new_inputs, list(strange))

    async def configure(self, request: protocol.ConfigureRequest) -> protocol.ConfigureResponse:
        await self._aside(self._connect, plain(request.args))
        return protocol.ConfigureResponse(supports_preview=True)  # and no accept_secrets, as no bridged provider does

    async def check(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        schema, inputs = self._of(request).schema, plain(request.new_inputs)
        name = f"{request.name}-{hashlib.sha256(request.random_seed).hexdigest()[:7]}"
        completed = schema.completed(inputs, plain(request.old_inputs), name)
        return protocol.CheckResponse(properties(completed), list(schema.failures(inputs)))

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        schema, news = self._of(request).schema, plain(request.new_inputs)
        changes = schema.changes(plain(request.old_state), news)
        found = {name: change for name, change in changes.items() if name not in request.ignore_changes}
        replaces = sorted(found.keys() & schema.replacing)
        explicit_name = schema.autonamed and "name" not in news.get(DEFAULTS, ["name"])
        return protocol.DiffResponse(
            changes=bool(found),
            replaces=replaces,
            stables=sorted(schema.replacing - found.keys()),
            delete_before_replace=bool(replaces) and (schema.deletes_first or explicit_name),
            diffs=list(found),
            detailed_diff=found,
        )

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        resource, inputs = self._of(request), stated(request.properties)
        if request.preview:
            return protocol.CreateResponse(None, properties(dict.fromkeys(resource.schema.outputs, UNKNOWN) | inputs))
        resource_id, state = await self._aside(resource.create, inputs)
        return protocol.CreateResponse(resource_id, properties(state, resource.schema.secrets))

    async def read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        resource = self._of(request)
        try:
            resource_id, state = await self._aside(resource.read, request.resource_id, stated(request.properties))
        except Gone:
            return protocol.ReadResponse()
        inputs = {name: state[name] for name in request.inputs if name in state}
        return protocol.ReadResponse(resource_id, properties(state, resource.schema.secrets), properties(inputs))

    async def update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        resource, olds = self._of(request), stated(request.olds)
        state = resource.schema.planned(olds, stated(request.news))
        if not request.preview:
            with unfinished(request.resource_id, state):
                state = await self._aside(resource.update, request.resource_id, olds, state)
        return protocol.UpdateResponse(properties(state, resource.schema.secrets))

    async def delete(self, request: protocol.DeleteRequest) -> None:
        with suppress(Gone):
            await self._aside(self._of(request).delete, request.resource_id, stated(request.properties))

    async def invoke(self, request: protocol.InvokeRequest) -> protocol.InvokeResponse:
        raise ValueError(f"{request.tok}: this stand-in for the real plugin has no functions")

    def _of(self, request: Any) -> Resource:
        token = request.type.rsplit("$", 1)[-1]  # the types of its parents stand before it
        for failure in unsupported({token: None}, frozenset(self._resources)):
            raise ValueError(f"{token} is {failure.reason}")
        return self._resources[token]

    async def _aside(self, work: Callable[..., Made], *args: Any) -> Made:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)


def aside(method: Callable[[Any, Asked], Made]) -> Callable[[Any, Asked], Coroutine[Any, Any, Made]]:
    """A method of a plugin that runs in a thread, so that other requests do not wait for it."""

    async def run(self: Any, request: Asked) -> Made:
        return await self._aside(method, self, request)  # type: ignore[no-any-return]

    return run


def stated(given: Mapping[str, PropertyValue]) -> State:
    """What was asked for or is known, without the list of what of it are defaults."""
    return {name: value for name, value in plain(given).items() if name != DEFAULTS}


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
        if isinstance(error, Unfinished):
            state = PropertyValue.marshal_map(properties(error.state, error.secrets))
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
