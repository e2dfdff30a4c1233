"""Written exceptions: which rule, for which resource, why, and until when; an expired one excuses nothing."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

from policies.rule import Violation

KEY = "policyExceptions"
FIELDS = ("rule", "resource", "reason", "expires")


@dataclass(frozen=True, kw_only=True)
class PolicyException:
    """One entry of the stack file's `policyExceptions`; `resource` may have wildcards, `expires` is its last day."""

    rule: str
    resource: str
    reason: str
    expires: date

    def excuses(self, rule: str, violation: Violation, today: date) -> bool:
        same = self.rule == rule and fnmatchcase(violation.where, self.resource)
        return same and today <= self.expires


def entries(config: Mapping[str, str]) -> list[Any]:
    """What stands under `<project>:policyExceptions` in a stack's configuration, which the engine gives as text."""
    text = next((value for key, value in config.items() if key.rpartition(":")[2] == KEY), "[]")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    return found if isinstance(found, list) else [found]


def parsed(entry: Any) -> PolicyException | str:
    """The exception that an entry declares, or its mistake."""
    if not isinstance(entry, Mapping) or set(entry) != set(FIELDS):
        found = ", ".join(map(str, entry)) if isinstance(entry, Mapping) else repr(entry)
        return f"expected the keys {', '.join(FIELDS)}, found {found}"
    try:
        # A day without quotes may arrive as the midnight it begins with.
        expires = date.fromisoformat(re.sub(r"[T ]00:00:00.*$", "", str(entry["expires"])))
    except (ValueError, RecursionError):
        return f"expected the last day as in 2027-06-30 under expires, found {entry['expires']!r}"
    texts = {field: str(entry[field]) for field in ("rule", "resource", "reason")}
    return PolicyException(expires=expires, **texts)


def granted(config: Mapping[str, str]) -> list[PolicyException]:
    """The exceptions that are well formed; the rule `exceptions-are-written-and-dated` reports the others."""
    return [found for found in map(parsed, entries(config)) if isinstance(found, PolicyException)]


def unexcused(
    rule: str, violations: Sequence[Violation], exceptions: Sequence[PolicyException], today: date
) -> list[Violation]:
    """The violations that no exception covers today."""
    return [
        violation
        for violation in violations
        if not any(exception.excuses(rule, violation, today) for exception in exceptions)
    ]
