"""What a stack keeps, it keeps in its own folder: the repository's files are read, and never written."""

import json
import os
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pulumi
import pytest
import yaml

from ops import stack as stack_module
from ops.parts import Parts
from ops.stack import OperatorError, StackFiles, _environment, await_engines, only_one

DECLARED, DEV = Path("Pulumi.yaml").read_text(), Path("Pulumi.dev.yaml").read_text()
SALT = "v1:the-salt-that-the-engine-wrote"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with nothing but its project and stack file, and no state yet."""
    (tmp_path / "Pulumi.yaml").write_text(DECLARED)
    (tmp_path / "Pulumi.dev.yaml").write_text(DEV)
    monkeypatch.setattr(stack_module, "ROOT", tmp_path)
    monkeypatch.setattr(stack_module, "STATE", tmp_path / ".state")
    for key in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(key, raising=False)
    return tmp_path


def dev(**overrides: str) -> StackFiles:
    return StackFiles(name="dev", parts=Parts(config=overrides))


def copy_of(root: Path, stack: str = "dev") -> Path:
    return root / ".state" / "work" / stack / f"Pulumi.{stack}.yaml"


def engine_writes_its_salt(root: Path) -> None:
    copy = copy_of(root)
    copy.write_text(copy.read_text() + f"encryptionsalt: {SALT}\n")


def test_the_engine_gets_a_copy_with_this_machines_parts_and_the_repository_stays_as_it_is(root: Path) -> None:
    dev(imageKong="sandbox/kong:1").write()
    engine_writes_its_salt(root)
    dev(imageKong="sandbox/kong:2").write()
    copied = yaml.safe_load(copy_of(root).read_text())["config"]
    assert copied["rag-platform:imageKong"] == "sandbox/kong:2"
    assert copied["rag-platform:imageQdrant"] == yaml.safe_load(DEV)["config"]["rag-platform:imageQdrant"]
    assert (copy_of(root).parent / "Pulumi.yaml").read_text() == DECLARED
    assert ((root / "Pulumi.yaml").read_text(), (root / "Pulumi.dev.yaml").read_text()) == (DECLARED, DEV)


def test_a_part_that_the_file_does_not_name_is_not_put_into_it(root: Path) -> None:
    dev(imageRag="sandbox/rag:1").write()
    assert "rag-platform:imageRag" not in yaml.safe_load(copy_of(root).read_text())["config"]
    dev().with_config(imageRag="sandbox/rag:1").write()
    assert yaml.safe_load(copy_of(root).read_text())["config"]["rag-platform:imageRag"] == "sandbox/rag:1"


def test_the_salt_outlives_every_write_and_all_else_does_not(root: Path) -> None:
    dev(imageKong="sandbox/kong:1").write()
    engine_writes_its_salt(root)
    for _ in range(2):
        dev().write()
    assert yaml.safe_load(copy_of(root).read_text()) == yaml.safe_load(DEV) | {"encryptionsalt": SALT}


def test_a_salt_of_the_stack_file_itself_wins(root: Path) -> None:
    dev().write()
    engine_writes_its_salt(root)
    (root / "Pulumi.dev.yaml").write_text(DEV + "encryptionsalt: v1:committed\n")
    dev().write()
    assert yaml.safe_load(copy_of(root).read_text())["encryptionsalt"] == "v1:committed"


def test_a_copy_that_was_cut_short_is_written_anew(root: Path) -> None:
    dev().write()
    copy_of(root).write_text("")
    dev().write()
    assert yaml.safe_load(copy_of(root).read_text()) == yaml.safe_load(DEV)


def test_a_stack_may_borrow_the_file_of_another_but_not_its_folder(root: Path) -> None:
    StackFiles(name="test", source="dev", parts=Parts()).write()
    assert yaml.safe_load(copy_of(root, "test").read_text()) == yaml.safe_load(DEV)
    assert not copy_of(root).exists()


def test_an_unknown_stack_is_refused_by_the_name_of_its_file_and_leaves_nothing(root: Path) -> None:
    unknown = StackFiles(name="staging", parts=Parts())
    for use in (unknown.settings, unknown.write):
        with pytest.raises(OperatorError, match=r"expected a stack file Pulumi\.staging\.yaml, found none"):
            use()
    assert not (root / ".state").exists()


def test_a_mistake_that_this_machines_parts_would_hide_is_refused(root: Path) -> None:
    (root / "Pulumi.dev.yaml").write_text(DEV.replace("kong:3.9.3", "kong:latest"))
    with pytest.raises(pulumi.RunError, match="imageKong: expected an image pinned"):
        dev(imageKong="sandbox/kong:1").settings()


@pytest.mark.parametrize("content", ["", "config:\n", "# nothing yet\n"])
def test_an_empty_stack_file_is_refused_by_the_keys_it_lacks(root: Path, content: str) -> None:
    (root / "Pulumi.new.yaml").write_text(content)
    empty = StackFiles(name="new", parts=Parts()).with_config(imageKong="kong:3.9.3")
    empty.write()
    assert yaml.safe_load(copy_of(root, "new").read_text()) == {"config": {"rag-platform:imageKong": "kong:3.9.3"}}
    with pytest.raises(pulumi.RunError, match="namePrefix: Field required"):
        empty.settings()


def test_state_and_passphrase_are_of_this_checkout_and_the_passphrase_is_private_and_kept(root: Path) -> None:
    before = os.umask(0)
    try:
        dev().write()
        environment = _environment(dev())
    finally:
        os.umask(before)
    passphrase = Path(environment["PULUMI_CONFIG_PASSPHRASE_FILE"])
    assert environment["PULUMI_BACKEND_URL"] == f"file://{root}/.state/backend"
    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    first = passphrase.read_text()
    assert len(first) >= 40
    _environment(dev())
    assert passphrase.read_text() == first
    assert first not in str(environment)


def test_a_passphrase_that_was_not_written_whole_is_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dev().write()
    with monkeypatch.context() as cut_off:
        cut_off.setattr(Path, "write_text", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            _environment(dev())
    assert not (root / ".state" / "passphrase").exists()
    assert len(Path(_environment(dev())["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text()) >= 40


def test_a_copy_with_the_same_content_is_not_written_again(root: Path) -> None:
    dev().write()
    before = copy_of(root).stat()
    dev().write()
    assert copy_of(root).stat().st_ino == before.st_ino
    dev(imageKong="sandbox/kong:2").write()
    assert {path.name for path in copy_of(root).parent.iterdir()} == {"Pulumi.yaml", "Pulumi.dev.yaml"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is called like the engine, and works until it is told to end."""
    (tmp_path / "pulumi").symlink_to(str(shutil.which("sleep")))
    with subprocess.Popen([tmp_path / "pulumi", "600"]) as process:
        try:
            while not Path(f"/proc/{process.pid}/cmdline").read_bytes():
                assert process.poll() is None
                time.sleep(0.01)  # the kernel lets its parent go on before its command line can be read
            yield process
        finally:
            process.kill()


def lock_of(folder: Path, pid: int) -> Path:
    lock = folder / "lock.json"
    lock.write_text(json.dumps({"pid": pid, "hostname": "here"}))
    return lock


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="without /proc nothing is known of other processes")
def test_an_engine_that_outlived_its_run_is_waited_for(tmp_path: Path, engine: subprocess.Popen[bytes]) -> None:
    lock = lock_of(tmp_path, engine.pid)
    with pytest.raises(OperatorError, match=f"found process {engine.pid} still at work"):
        await_engines([lock], timeout_seconds=0)
    told_to_end = threading.Event()

    def end() -> None:
        told_to_end.set()
        engine.terminate()

    threading.Timer(0.3, end).start()
    await_engines([lock], timeout_seconds=60)
    assert told_to_end.is_set()


def test_a_lock_of_a_process_that_ended_is_not_waited_for(tmp_path: Path) -> None:
    cut_short = tmp_path / "cut.json"
    cut_short.write_text('{"pid": ')
    await_engines([lock_of(tmp_path, os.getpid()), cut_short, tmp_path / "gone.json"], timeout_seconds=0)


def test_a_backend_and_a_passphrase_of_the_callers_own_are_left_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "mine")
    dev().write()
    assert not {"PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE"} & set(_environment(dev()))
    assert not (root / ".state" / "passphrase").exists()


def test_a_second_operator_is_refused_until_the_first_is_done(root: Path) -> None:
    with only_one(), pytest.raises(OperatorError, match="found another run of ops on this checkout; wait for it"):
        only_one().__enter__()
    with only_one():
        pass


def test_an_operation_that_failed_blocks_no_other(root: Path) -> None:
    with pytest.raises(RuntimeError), only_one():
        raise RuntimeError
    with only_one():
        pass
