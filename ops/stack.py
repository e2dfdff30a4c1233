"""The stack through Pulumi's Automation API: the same program, state kept in this checkout, nothing else touched."""

import contextlib
import fcntl
import json
import os
import re
import runpy
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import yaml
from pulumi import automation

from access.direct import bypass_proxy
from access.polling import PollTimeout, poll, require_none
from ops.parts import Parts
from ops.paths import ROOT, STATE
from ops.pickled_code import unwrap_pickler
from ops.whole_file import write_whole
from platforms.stack_file import PROJECT, read_stack_file
from settings import Settings, sealed_keys

ENGINE_SECONDS = 300  # longer than the engine may wait for a container that it is making


class OperatorError(Exception):
    """Something the operator can mend; its text says what was expected, what was found and what to do."""


@dataclass(frozen=True, kw_only=True)
class StackFiles:
    """The stack's own folder under .state, where the engine may write beside its copy of the project files."""

    name: str
    parts: Parts
    source: str = ""  # the stack whose file is copied, if another; the live tests run dev's on other ports
    config: Mapping[str, str] = field(default_factory=dict)  # keys of the file set otherwise

    @property
    def folder(self) -> Path:
        return STATE / "work" / self.name

    @property
    def stack_file(self) -> Path:
        """The stack's file in the repository; OperatorError when there is none."""
        for name in (self.name, self.source or self.name):
            if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name) or not name.strip("."):
                raise OperatorError(
                    f"expected a stack's name of letters, digits, dots, dashes and underscores, found {name!r}; "
                    "try STACK=dev"
                )
        path = ROOT / f"Pulumi.{self.source or self.name}.yaml"
        if not path.exists():
            raise OperatorError(f"expected a stack file {path.name}, found none; try STACK=dev")
        return path

    def with_config(self, **config: Any) -> Self:
        """The same stack with keys of its file set otherwise."""
        return replace(self, config={**self.config, **config})

    @property
    def overrides(self) -> dict[str, str]:
        """What is not as the file says: the parts of this machine that it names, and what was set otherwise."""
        named = {key.rpartition(":")[2] for key in read_stack_file(self.stack_file).get("config") or {}}
        return {**{key: used for key, used in self.parts.config.items() if key in named}, **self.config}

    def settings(self) -> Settings:
        """The stack's checked settings, without the engine; the file must be right by itself, overrides or not."""
        decrypted = self._decrypted(sealed_keys(self.stack_file))
        Settings.from_file(self.stack_file, decrypted)
        return Settings.from_file(self.stack_file, decrypted | self.overrides)

    def _decrypted(self, keys: Sequence[str]) -> dict[str, str]:
        """The values of these keys, as the engine decrypts them; it is not asked when there are none."""
        if not keys:
            return {}
        try:
            found = open_stack(self).get_all_config()
        except automation.CommandError as error:
            raise OperatorError(
                f"expected the engine to decrypt {', '.join(keys)}, found that it cannot; check the passphrase "
                "(PULUMI_CONFIG_PASSPHRASE), or set them without --secret"
            ) from error
        return {key: found[f"{PROJECT}:{key}"].value for key in keys}

    def write(self) -> None:
        """Copy the project and stack files; a salt that the engine wrote into the copy earlier is kept."""
        stack = read_stack_file(self.stack_file)
        overrides = {f"{PROJECT}:{key}": value for key, value in self.overrides.items()}
        stack["config"] = (stack.get("config") or {}) | overrides
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "Pulumi.yaml", self.folder)
        copy = self.folder / f"Pulumi.{self.name}.yaml"
        earlier = read_stack_file(copy) if copy.exists() else {}
        if "encryptionsalt" in earlier:
            stack.setdefault("encryptionsalt", earlier["encryptionsalt"])
        text = yaml.safe_dump(stack, sort_keys=False)
        if not copy.exists() or copy.read_text() != text:
            write_whole(copy, text)  # an engine at work must not read half of it


def open_stack(files: StackFiles) -> automation.Stack:
    """Select the stack, made on first use; OperatorError when there is no engine to do it with."""
    files.write()
    try:
        return automation.create_or_select_stack(
            stack_name=files.name,
            project_name=PROJECT,
            program=_program,
            opts=automation.LocalWorkspaceOptions(work_dir=str(files.folder), env_vars=_environment(files)),
        )
    except FileNotFoundError as error:
        raise OperatorError(f"expected the pulumi CLI on PATH, found none ({error}); run make up") from error


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Hold this checkout for one operator at a time; its holder may clear what an interrupted run left."""
    STATE.mkdir(exist_ok=True)
    with alone(STATE / "lock", "expected to be alone, found another run of ops on this checkout; wait for it"):
        yield


@contextlib.contextmanager
def alone(path: Path, otherwise: str) -> Iterator[None]:
    """Hold the lock at that path; OperatorError, in the words given, when another process holds it."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OperatorError(otherwise) from error
        yield


def clear_interrupted(stack: automation.Stack) -> None:
    """Drop the engine's lock of a run that was killed; only safe while `only_one` is held."""
    locks = [path for path in (STATE / "backend" / ".pulumi" / "locks").rglob("*") if path.is_file()]
    if locks and "PULUMI_BACKEND_URL" not in os.environ:
        await_engines(locks)
        stack.cancel()


def await_engines(locks: Sequence[Path], timeout_seconds: float = ENGINE_SECONDS) -> None:
    """Wait for the engines that hold these locks: an engine outlives the program that started it, to end its work."""

    def ended() -> None:
        require_none([f"process {pid} still at work" for lock in locks if (pid := _holder(lock)) and _is_engine(pid)])

    expected = "the engine of an interrupted run to have ended"
    advice = "Wait for it, or end it, then run the same command again"
    try:
        poll(ended, timeout_seconds, expected=expected, advice=advice, interval_seconds=0.2)
    except PollTimeout as error:
        raise OperatorError(str(error)) from None


def _holder(lock: Path) -> int | None:
    try:
        return int(json.loads(lock.read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # dropped meanwhile, or cut short


def _is_engine(pid: int) -> bool:
    """Numbers are given again, and one that ended may still be listed, without a command line; no /proc, no knowing."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]
    except OSError:
        return False
    return Path(os.fsdecode(command)).name == "pulumi"


def resources(stack: automation.Stack) -> list[dict[str, Any]]:
    """The resources in the stack's state."""
    deployment = stack.export_stack().deployment or {}
    return list(deployment.get("resources") or [])


def outputs(stack: automation.Stack) -> dict[str, Any]:
    """The stack's outputs, secrets in the clear: never print them whole."""
    found = {key: output.value for key, output in stack.outputs().items()}
    if not found:
        raise OperatorError("expected a running stack, found none; run make up")
    return found


def _program() -> None:
    unwrap_pickler()
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


def _environment(files: StackFiles) -> dict[str, str]:
    """Local backend and passphrase unless the caller has others; tools and engine of this machine's parts."""
    env = {"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_PYTHON_CMD": str(ROOT / ".venv" / "bin" / "python")}
    env["PYTHONPATH"] = str(ROOT)
    if "PULUMI_BACKEND_URL" not in os.environ:
        (STATE / "backend").mkdir(exist_ok=True)
        env["PULUMI_BACKEND_URL"] = f"file://{STATE / 'backend'}"
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & set(os.environ):
        env["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_passphrase_file())
    return env


def _passphrase_file() -> Path:
    path = STATE / "passphrase"
    if not path.exists():
        fresh = path.with_name(f".passphrase.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(32))
        fresh.replace(path)  # whole or not at all: what is encrypted with half of one is lost with the rest
    return path


def use_parts(parts: Parts) -> None:
    """Put the tools and the engine of this machine's parts in reach of everything that is started from here."""
    bypass_proxy()
    if prefix := parts.env.get("PATH_PREFIX"):
        os.environ["PATH"] = f"{prefix}{os.pathsep}{os.environ['PATH']}"
    for name in parts.env.keys() & {"DOCKER_HOST", "KUBECONFIG"}:
        os.environ.setdefault(name, parts.env[name])
