"""A provider as most programs have them: its code goes into the state, and all that its module has."""

from typing import Any

from pulumi.dynamic import ResourceProvider


def inline() -> ResourceProvider:
    class Inline(ResourceProvider):
        def delete(self, _id: str, _props: dict[str, Any]) -> None:
            raise NotImplementedError

    return Inline()
