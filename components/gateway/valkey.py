"""Valkey, where several nodes of the gateway count calls together."""

import pulumi

from platforms.workload import CommandProbe, Port, Resources, Workload

NAME, PORT = "valkey", 6379
PING = CommandProbe(command=("valkey-cli", "-p", str(PORT), "ping"))
CONFIG_FILE = "/etc/valkey/valkey.conf"


def valkey_workload(image: str, password: pulumi.Input[str]) -> Workload:
    """One instance that keeps nothing: counts are worth a minute, and the gateway lets calls pass while it is away."""
    return Workload(
        image=image,
        args=("valkey-server", CONFIG_FILE),
        ports=(Port(number=PORT),),
        secret_files={CONFIG_FILE: pulumi.Output.from_input(password).apply(valkey_config)},
        scratch_dirs=("/data",),
        readiness=PING,
        liveness=PING,
        resources=Resources(memory_mib=128, cpus=0.5),
        user=999,
    )


def valkey_config(password: str) -> str:
    """Nothing on disk, bounded memory, no client without the password."""
    lines = [f"port {PORT}", 'save ""', "appendonly no", "maxmemory 64mb", "maxmemory-policy allkeys-lru"]
    return "\n".join([*lines, f"requirepass {quoted(password)}", ""])


def quoted(text: str) -> str:
    """The text as one word of Valkey's configuration, where a backslash escapes also a quote and itself."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
