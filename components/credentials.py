"""The stack's secrets: taken from its configuration where given, else made once and kept in its state."""

from collections.abc import Mapping

import pulumi
import pulumi_random as random
from pulumi import ResourceOptions


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
        One that `rotates` is always made, and may go when the stack file no longer names it; all others stay when the
        rest is destroyed.
        """
        if self._given is not None:
            return pulumi.Output.secret(self._given.apply(lambda secrets: held(key, secrets)))
        if key not in self._secrets:
            given = self._config.get_secret(key) if not rotates and self._config.get(key) else None
            self._secrets[key] = given or self._made(key, protect=self._keep and not rotates)
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
