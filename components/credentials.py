"""The stack's secrets: taken from its configuration where given, else made once and kept in its state."""

import re
from collections.abc import Mapping

import pulumi
import pulumi_random as random
from pulumi import ResourceOptions

from components.gateway.references import COME_AND_GO

PRINTABLE = re.compile("[!-~]([ -~]*[!-~])?")
EXPANDED = ("${", "$__", "%(", "{vault:")  # Grafana and Kong would put something else in their place


class Credentials(pulumi.ComponentResource):
    """Returns each secret by its stack-file key, always as a secret output, and always the same one."""

    def __init__(
        self,
        name: str,
        *,
        config: pulumi.Config,
        protect: bool,
        given: pulumi.Output[Mapping[str, str]] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("rag:components:Credentials", name, {}, opts)
        self._given = given
        self._config = config
        self._keep = protect
        self._provider = random.Provider("random", opts=ResourceOptions(parent=self))
        self._secrets: dict[str, pulumi.Output[str]] = {}
        self.register_outputs({})

    def secret(self, key: str, *, rotates: bool = False) -> pulumi.Output[str]:
        """The configured value, else one made once: letters and digits, safe in a header, a URL and a file.

        Where the platform holds the secrets, all of them are taken from there, and none is made.
        One that `rotates` is always made, and may go when the stack file no longer names it; so may one of
        `COME_AND_GO`, whose setting could not be changed back otherwise. All others stay when the rest is destroyed.
        """
        if self._given is not None:
            return pulumi.Output.secret(self._given.apply(lambda secrets: usable(key, held(key, secrets))))
        if key not in self._secrets:
            given = "" if rotates else usable(key, self._config.get(key) or "")
            made = None if given else self._made(key, protect=self._keep and not (rotates or key in COME_AND_GO))
            self._secrets[key] = pulumi.Output.secret(given) if made is None else made
        return self._secrets[key]

    def member(self, key: str, name: str) -> pulumi.Output[str]:
        """One secret of the object that the stack file gives under `key`; where the platform holds the secrets, the
        one called `key.name`."""
        if self._given is not None:
            return pulumi.Output.secret(self._given.apply(lambda secrets: held(f"{key}.{name}", secrets)))
        return self._config.require_secret_object(key).apply(lambda secrets: str(secrets[name]))

    def _made(self, key: str, *, protect: bool) -> pulumi.Output[str]:
        opts = ResourceOptions(parent=self, provider=self._provider, protect=protect)
        return pulumi.Output.secret(random.RandomPassword(key, length=40, special=False, opts=opts).result)


def held(key: str, secrets: Mapping[str, str]) -> str:
    """The secret of that key; RunError when the platform holds none."""
    if not secrets.get(key):
        found = ", ".join(sorted(secrets)) or "none"
        raise pulumi.RunError(
            f"expected the key {key} in the Secret that the stack file names, found {found}; add it there, 32 letters "
            "and digits or more"
        )
    return secrets[key]


def usable(key: str, value: str) -> str:
    """The value, which means the same in a header, in a file and to every program; else RunError with the key."""
    if value and not PRINTABLE.fullmatch(value):
        raise pulumi.RunError(
            f"{key}: expected one line of printable ASCII characters without a blank at either end, found another "
            f"character among its {len(value)} (maybe the line feed of a file); choose another value"
        )
    if found := [text for text in EXPANDED if text in value]:
        raise pulumi.RunError(
            f"{key}: expected no {' or '.join(found)}, which Grafana or Kong would replace by something else; choose "
            "another value"
        )
    return value
