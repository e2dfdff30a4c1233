"""One experiment: what is done to a target under traffic, what may fail meanwhile, and what it is judged by."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import KW_ONLY, dataclass, field
from typing import Generic, Literal, TypeVar

from proof.report.judge import Limits, limits_of_fault, limits_of_rolling
from proof.targets.target import Target
from slo.promises import Promises

T = TypeVar("T", bound=Target)
Undo = Callable[[], None]
Changes = list[tuple[str, str]]  # (operation, resource), as `up` reports them


def nothing_needed(_: object) -> AbstractContextManager[None]:
    """Most experiments need nothing but the target."""
    return nullcontext()


@dataclass(frozen=True)
class Experiment(Generic[T]):
    """A fault, whose action returns how to undo it, or a change, whose action returns what it changed.

    Streams not in `may_fail` must not fail at all; those in it may until the target has recovered, or for
    `excused_seconds` where other replicas take over. Latency is judged unless `slow` gives a reason not to.
    """

    name: str
    title: str
    action: Callable[[T], Undo | Changes]
    _: KW_ONLY
    recovery: Literal["node_returns", "volume_replaced", "front_returns"] | None = None  # None: a change
    lasts_seconds: float = 14  # of a fault, before it is undone
    replaces: tuple[str, ...] = ()  # by a change, of each component in this order
    prerequisites: Callable[[T], AbstractContextManager[None]] = nothing_needed
    may_fail: Mapping[str, str] = field(default_factory=dict)  # stream -> why
    excused_seconds: float = math.inf
    slow: str = ""

    @property
    def is_change(self) -> bool:
        return self.recovery is None

    def limits(self, promises: Promises) -> Limits:
        """What the promises allow it."""
        if self.recovery is None:
            return limits_of_rolling(promises)
        return limits_of_fault(promises, getattr(promises.recovery, self.recovery))


def may_fail(*streams: str, because: str) -> Mapping[str, str]:
    """These streams may fail, for that reason."""
    return dict.fromkeys(streams, because)


def named(among: Sequence[Experiment[T]], *names: str) -> tuple[Experiment[T], ...]:
    """Those of these names, in the order of `among`; all of them for none. ValueError for an unknown name."""
    if unknown := sorted(set(names) - {each.name for each in among}):
        known = ", ".join(each.name for each in among)
        raise ValueError(f"expected names out of {known}; found {', '.join(unknown)}")
    return tuple(each for each in among if not names or each.name in names)
