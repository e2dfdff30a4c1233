"""`kong`, as far as the sandbox needs it: migrations, docker-start, health, config parse and version."""

import asyncio
import contextlib
import signal
import ssl
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sandbox.kong.admin import Admin
from sandbox.kong.declarative import InvalidError, parse
from sandbox.kong.node import Node
from sandbox.kong.proxy import Proxy
from sandbox.kong.settings import VERSION, listeners, setting
from sandbox.kong.status import Status
from sandbox.kong.store import TABLE, DownError, Memory, Postgres, Store
from sandbox.kong.wire import Server

TRIES, PAUSE_SECONDS, GRACE_SECONDS = 5, 0.5, 10
LISTENERS = {
    "PROXY_LISTEN": "0.0.0.0:8000, 0.0.0.0:8443 ssl",
    "ADMIN_LISTEN": "127.0.0.1:8001",
    "STATUS_LISTEN": "127.0.0.1:8007",
}
NEEDS_BOOTSTRAP = """Database needs bootstrapping or is older than Kong 1.0.

To start a new installation from scratch, run 'kong migrations bootstrap'."""


class CommandError(Exception):
    """The command cannot be done: why."""


async def migrations(words: Sequence[str]) -> None:
    """Make the table, unless it is there; of its own later versions this stand-in has none to migrate to."""
    if list(words) not in (["bootstrap"], ["up"], ["finish"]):
        raise CommandError("expected 'migrations bootstrap', 'up' or 'finish'")
    database = Postgres()
    for attempt in range(1, TRIES + 1):
        try:
            if await database.bootstrapped():
                print("Database already bootstrapped")
            elif list(words) != ["bootstrap"]:
                raise CommandError(NEEDS_BOOTSTRAP)
            else:
                await database.query(TABLE)
                print("Database is up-to-date")
            return
        except DownError:
            if attempt == TRIES:
                raise
            await asyncio.sleep(PAUSE_SECONDS)


async def config(words: Sequence[str]) -> None:
    """Report what is wrong with a declarative file."""
    if len(words) != 2 or words[0] != "parse":
        raise CommandError("expected 'config parse FILE'")
    try:
        await parse(Path(words[1]).read_text())
    except (InvalidError, OSError) as error:
        raise CommandError(f"Failed parsing:\n{error}") from error
    print("parse successful")


async def health(_: Sequence[str]) -> None:
    """Whether a Kong listens here."""
    port = listeners("STATUS_LISTEN", LISTENERS["STATUS_LISTEN"])[0][1]
    try:
        await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        raise CommandError(f"Kong is not running: nothing listens on port {port}") from error
    print("Kong is healthy")


async def serve(_: Sequence[str]) -> None:
    """Serve until a signal, then finish open requests."""
    node = Node(await open_store())
    await node.start()
    servers = []
    handlers = {"PROXY_LISTEN": Proxy(node), "ADMIN_LISTEN": Admin(node), "STATUS_LISTEN": Status(node)}
    for name, handler in handlers.items():
        for host, port, tls in listeners(name, LISTENERS[name]):
            certificate = _self_signed() if tls else None
            server = Server(handler)  # type: ignore[arg-type]
            servers.append(await asyncio.start_server(server.connected, host, port, ssl=certificate, backlog=1024))
    print(f"kong {VERSION} (the sandbox's stand-in) serves", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    for listener in servers:
        listener.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE_SECONDS):
            while Server.busy:
                await asyncio.sleep(0.05)


async def open_store() -> Store:
    """The database, which must have its table, or the entities of the declarative configuration."""
    if setting("DATABASE", "postgres") == "off":
        path = setting("DECLARATIVE_CONFIG")
        text = setting("DECLARATIVE_CONFIG_STRING") or (Path(path).read_text() if path else "")
        return await parse(text) if text else Memory()
    database = Postgres()
    if not await database.bootstrapped():
        raise CommandError(NEEDS_BOOTSTRAP)
    return database


def _self_signed() -> ssl.SSLContext:
    """A certificate for localhost, as Kong makes one when it is given none."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + timedelta(days=365))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.NamedTemporaryFile() as file:  # the ssl module reads only files
        file.write(private + made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return context


async def version(_: Sequence[str]) -> None:
    """Print the version of Kong that this stands in for."""
    print(VERSION)


COMMANDS = {"migrations": migrations, "docker-start": serve, "health": health, "config": config, "version": version}


def main(arguments: Sequence[str]) -> int:
    """Run a command; 1 and the reason on standard error if it fails."""
    command, *words = arguments or [""]
    try:
        if command not in COMMANDS:
            raise CommandError(f"expected one of {', '.join(COMMANDS)}; found '{command}'")
        asyncio.run(COMMANDS[command](words))
    except (CommandError, DownError, InvalidError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
