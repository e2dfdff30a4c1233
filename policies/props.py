"""A resource's properties as the policy SDK gives them, and as plain data."""

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import Secret, proxy
from pulumi_policy.proxy import UnknownValueError

UNKNOWN = {value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_") and isinstance(value, str)}
_NOTHING = object()


def known(value: Any) -> Any:
    """Plain data, secrets in the clear, without what is not known yet: a rule never fails for that."""
    if isinstance(value, Secret):
        return known(value.value)
    if isinstance(value, Mapping):
        found = {key: _or_nothing(value, key) for key in value}
        return {key: known(entry) for key, entry in found.items() if entry is not _NOTHING}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        entries = [_or_nothing(value, index) for index in range(len(value))]
        return [known(entry) for entry in entries if entry is not _NOTHING]
    return int(value) if isinstance(value, float) and value.is_integer() else value  # the protocol has only floats


def marked(props: Mapping[str, Any]) -> dict[str, Any]:
    """The same properties with secrets still marked and unknowns still unknown, as the SDK takes them back."""
    return props if isinstance(props, dict) else dict(props["__target"])


def _or_nothing(found: Any, key: Any) -> Any:
    try:
        value = found[key]
    except UnknownValueError:
        return _NOTHING
    return _NOTHING if isinstance(value, str) and value in UNKNOWN else value
