"""A pack: rules that are run together under one name."""

from dataclasses import dataclass

from policies.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Pack:
    """`name` is what the engine calls it."""

    name: str
    title: str
    rules: tuple[Rule, ...]
