"""What Kong 3.9 demands of a value: types, limits, defaults, and its own words for what is wrong."""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

Row = dict[str, Any]
Check = Callable[[Any], str | None]
PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float),
    "integer": (int, float),
    "array": (list,),
    "set": (list,),
    "map": (dict,),
    "record": (dict,),
    "foreign": (dict,),
}


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
        """What is wrong with `value`: a string, of a record a dict by field, of a list one entry per element; or nothing."""
        if value is None:
            return "required field missing" if self.required else None
        wrong = isinstance(value, bool) != (self.type == "boolean") or (
            self.type == "integer" and value != round(value)
        )
        if not isinstance(value, PYTHON[self.type]) or wrong:
            return f"expected a{'n' * (self.type[0] in 'ai')} {self.type}"
        if self.fields:
            return problems(self.fields, value)
        inner = (
            [self.elements.problem(item) for item in (value.values() if self.type == "map" else value)]
            if self.elements
            else []
        )
        if any(inner):
            return next(filter(None, inner)) if self.type == "map" else inner
        if self.type == "string" and len(value) < self.len_min:
            return f"length must be at least {self.len_min}"
        if self.between and not self.between[0] <= value <= self.between[1]:
            return f"value should be between {self.between[0]} and {self.between[1]}"
        if self.gt is not None and value <= self.gt:
            return f"value must be greater than {self.gt}"
        if self.one_of and value not in self.one_of:
            return f"expected one of: {', '.join(map(str, self.one_of))}"
        return self.check(value) if self.check else None

    def described(self) -> Row:
        """The field as `GET /schemas` shows it."""
        shown = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name != "check" and getattr(self, f.name) != f.default
        }
        shown |= {"elements": self.elements.described()} if self.elements else {}
        return shown | ({"fields": described(self.fields)} if self.fields else {})


Fields = dict[str, Field]


def described(schema: Fields) -> list[Row]:
    """A schema in the list form of `GET /schemas`."""
    return [{name: field.described()} for name, field in schema.items()]


def problems(schema: Fields, row: Row) -> Row:
    """What is wrong with each field of `row`, by name."""
    missing = {name: None for name, field in schema.items() if field.required}
    found = {
        name: schema[name].problem(value) if name in schema else "unknown field"
        for name, value in (missing | row).items()
    }
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
    records = {
        name: inner for name in top if name in schema and isinstance(top[name], dict) and (inner := schema[name].fields)
    }
    return bottom | top | {name: merged(inner, top[name], bottom.get(name) or {}) for name, inner in records.items()}


def matching(pattern: str, otherwise: str) -> Check:
    """A check whose complaint is `otherwise`, with the value for {}."""
    return lambda value: None if re.search(pattern, value) else otherwise.replace("{}", str(value))


def listed(default: Any = None, check: Check | None = None, of: str = "array", one_of: tuple[str, ...] = ()) -> Field:
    """A list of strings."""
    return Field(of, default, elements=Field("string", required=of == "set", one_of=one_of, check=check))


STRING, NUMBER, BOOLEAN = Field("string"), Field("number"), Field("boolean")
ON, OFF = Field("boolean", True, required=True), Field("boolean", False, required=True)
PATH = Field(
    "string",
    check=lambda value: (
        "should start with: /" if value[0] != "/" else "must not have empty segments" if "//" in value else None
    ),
)
HEADER = Field(
    "string", check=matching(r"^[\w-]+$", "bad header name '{}', allowed characters are A-Z, a-z, 0-9, '_', and '-'")
)
HOST = Field("string", check=matching(r"^[\w.-]+$|^\[?[0-9a-fA-F:]+\]?$", "invalid value: {}"))
TAGS = listed(of="set")
