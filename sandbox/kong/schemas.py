"""What Kong 3.9 demands of a value: types, limits, defaults, and its own words for what is wrong."""

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Check = Callable[[Any], str | None]
SEQUENCES, RECORDS = ("array", "set"), ("map", "record", "foreign")


@dataclass(frozen=True)
class Field:
    """One field of a schema."""

    type: str
    default: Any = None
    required: bool = False
    one_of: tuple[Any, ...] = ()
    between: tuple[int, int] | None = None
    gt: int | None = None
    len_min: int = 1
    elements: "Field | None" = None
    fields: "Fields | None" = None
    check: Check | None = None

    def problem(self, value: Any) -> Any:
        """What is wrong with `value`: a string, of a record a dict by field, of a list an entry per item; or None."""
        if value is None:
            return "required field missing" if self.required else None
        if not _is_a(self.type, value):
            return f"expected a{'n' * (self.type[0] in 'ai')} {self.type}"
        if self.fields:
            return problems(self.fields, value)
        items = value.values() if self.type == "map" else value
        inner = [self.elements.problem(item) for item in items] if self.elements else []
        if any(inner):
            return next(filter(None, inner)) if self.type == "map" else inner
        return next(self._broken_limits(value), None)

    def _broken_limits(self, value: Any) -> Iterator[str]:
        if self.type == "string" and len(value) < self.len_min:
            yield f"length must be at least {self.len_min}"
        if self.between and not self.between[0] <= value <= self.between[1]:
            yield f"value should be between {self.between[0]} and {self.between[1]}"
        if self.gt is not None and value <= self.gt:
            yield f"value must be greater than {self.gt}"
        if self.one_of and value not in self.one_of:
            yield f"expected one of: {', '.join(map(str, self.one_of))}"
        if self.check and (broken := self.check(value)):
            yield broken


Fields = dict[str, Field]


def _is_a(kind: str, value: Any) -> bool:
    if kind in SEQUENCES or kind in RECORDS:
        return isinstance(value, list if kind in SEQUENCES else dict)
    if kind in ("number", "integer"):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (kind == "number" or value == int(value))
    return isinstance(value, bool if kind == "boolean" else str)


def problems(schema: Fields, row: Row) -> Row:
    """What is wrong with each field of `row`, by name."""
    present = {name: None for name, field in schema.items() if field.required} | row
    found = {name: schema[name].problem(value) for name, value in present.items() if name in schema}
    found |= dict.fromkeys(present.keys() - schema.keys(), "unknown field")
    return {name: problem for name, problem in found.items() if problem}


def filled(schema: Fields, row: Row) -> Row:
    """`row` with the default of every field it leaves out; an explicit null stays."""
    out = copy.deepcopy(row)
    for name, field in schema.items():
        value = out.setdefault(name, {} if field.fields else copy.deepcopy(field.default))
        if field.fields and isinstance(value, dict):
            out[name] = filled(field.fields, value)
    return out


def merged(schema: Fields, top: Row, bottom: Row) -> Row:
    """What PATCH `top` makes of `bottom`: records merge, everything else is replaced."""
    inner = {name: schema[name].fields for name in top if name in schema and isinstance(top[name], dict)}
    records = {name: merged(fields, top[name], bottom.get(name) or {}) for name, fields in inner.items() if fields}
    return bottom | top | records


def matching(pattern: str, otherwise: str) -> Check:
    """A check whose message is `otherwise`, with the value for {}."""
    return lambda value: None if re.search(pattern, value) else otherwise.replace("{}", value)


def _path(value: str) -> str | None:
    wrong = "should start with: /" if value[0] != "/" else None
    return wrong or ("must not have empty segments" if "//" in value else None)


def listed(
    default: Any = None, check: Check | None = None, *, of: str = "array", one_of: tuple[str, ...] = ()
) -> Field:
    """A list of strings."""
    return Field(of, default, elements=Field("string", required=of == "set", one_of=one_of, check=check))


STRING, NUMBER, BOOLEAN = Field("string"), Field("number"), Field("boolean")
ON, OFF, FLAG = Field("boolean", True, required=True), Field("boolean", False, required=True), Field("boolean", False)
UPPER_CASE = matching("^[A-Z]+$", "invalid value: {}")
HEADER_NAME = matching(r"^[\w-]+$", "bad header name '{}', allowed characters are A-Z, a-z, 0-9, '_', and '-'")
HEADER, PATH = Field("string", check=HEADER_NAME), Field("string", check=_path)
URL = Field("string", check=matching(r"^https?://.+$", "missing host in url"))
HOST = Field("string", check=matching(r"^[\w.-]+$|^\[?[0-9a-fA-F:]+\]?$", "invalid value: {}"))
PORT = (0, 65535)
