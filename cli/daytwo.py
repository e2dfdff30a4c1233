"""The commands that move points: each shows its plan, carries it out, and prints how that was verified."""

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli import nodes as node_commands
from cli.stack_of import DryRun, Stack, console, files_of, outputs_of
from ops.daytwo import backup as taking
from ops.daytwo import migrate as moving
from ops.daytwo import restore as restoring
from ops.daytwo import verify as verifying
from ops.daytwo.reindex import Keys, documents
from ops.daytwo.running import Running, plainly
from ops.ingest import IngestClient, index_all
from ops.stack import OperatorError, only_one
from qdrant_admin.points.client import NodePoints
from qdrant_admin.points.comparison import Entry

app = typer.Typer()
app.add_typer(node_commands.app)
SOURCE_KEY = "SOURCE_QDRANT_API_KEY"


@app.command(epilog="Example: make backup TO=backups/today")
def backup(
    folder: Path,
    stack: Stack = "dev",
    collection: Annotated[list[str] | None, typer.Option(help="only this one; may be given again")] = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Take a snapshot of every shard, and write what a restore needs beside them."""
    running = Running.of(outputs_of(files_of(stack)))
    plan = taking.plan_backup(running, collection or [])
    console.print(plan.table())
    if not dry_run:
        with only_one():
            began = time.monotonic()
            manifest = taking.back_up(running, plan, folder, console)
        console.print(escape(taking.summary(manifest, folder, time.monotonic() - began)))


@app.command(epilog="Example: make restore FROM=backups/today COLLECTION=docs_index")
def restore(
    folder: Path,
    stack: Stack = "dev",
    collection: Annotated[str | None, typer.Option(help="only this one, by its name or an alias it had")] = None,
    into: Annotated[str | None, typer.Option(help="restore beside what is there, under this name")] = None,
    *,
    replace: Annotated[bool, typer.Option(help="restore beside what is there, then move its aliases")] = False,
    dry_run: DryRun = False,
) -> None:
    """Restore a backup: all of it is checked before anything is touched."""
    running = Running.of(outputs_of(files_of(stack)))
    planned = restoring.plan_restore(running, folder, collection, into=into, replace=replace)
    for each in planned:
        aliases = ", ".join(each.aliases) or "none"
        console.print(
            escape(f"{each.copy.name} → {each.target}: {each.copy.points} points; then its aliases: {aliases}")
        )
    if not dry_run:
        with only_one():
            for each in planned:
                console.print(escape(restoring.restore(running, each, console)))


@app.command(epilog="Example: make migrate FROM=http://10.0.0.5:6333 KEY_FILE=key")
def migrate(
    from_: Annotated[str, typer.Option("--from", help="URL of the source, such as http://10.0.0.5:6333")] = "",
    stack: Stack = "dev",
    collection: Annotated[str | None, typer.Option(help="the source's, if it has several")] = None,
    from_key_file: Annotated[Path | None, typer.Option(help=f"file with its key; else {SOURCE_KEY} is read")] = None,
    into: Annotated[str | None, typer.Option(help="name of the new collection")] = None,
    *,
    reindex: Annotated[bool, typer.Option(help="embed the texts anew instead of copying vectors")] = False,
    text_key: Annotated[str, typer.Option(help="with --reindex: the payload's key of the text")] = "text",
    rollback: Annotated[bool, typer.Option(help="let the alias serve again what it served before")] = False,
    dry_run: DryRun = False,
) -> None:
    """Move a collection of another Qdrant into the cluster, and cut over by alias when both are the same."""
    files = files_of(stack)
    found = outputs_of(files)
    running, declared = Running.of(found), files.settings().collection
    if rollback:
        words = f"alias {declared.alias} would serve again what it served before"
        console.print(words if dry_run else moving.roll_back(running, declared.alias))
        return
    key = _source_key(from_key_file)
    source = NodePoints(_url(from_), key)
    name = collection or _only_collection(source)
    if reindex:
        _reindex(found, source, name, Keys(text=text_key), dry_run=dry_run)
        return
    target = into or moving.target_name(declared, source, name)
    read = files.settings().rag.enabled
    planned = moving.plan_migration(running, source, name, declared, target=target, read_by_the_service=read)
    console.print(escape("\n".join(planned.lines())))
    if not dry_run:
        with only_one():
            console.print(moving.migrate(running, planned, key, console))


@app.command(epilog="Example: make verify STACK=prod")
def verify(
    ledger: Annotated[Path | None, typer.Option(help="acknowledged points; else copies are compared")] = None,
    stack: Stack = "dev",
    collection: Annotated[str | None, typer.Option(help="only this one; with a ledger else the served one")] = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Read every copy of every collection: exit code 1, and a table, when one lacks a point or has it otherwise."""
    found = outputs_of(files_of(stack))
    running = Running.of(found)
    entries = verifying.read_ledger(ledger) if ledger else None
    names = [collection or str(found["collection"])]
    if not (collection or ledger):
        names = sorted(running.living()[0].collections())
    if dry_run:
        what = f"{len(entries)} acknowledged points" if entries else "every point"
        through = ", ".join(running.node_urls)
        console.print(escape(f"{what} of {', '.join(names)} would be read through {through}; nothing is written"))
        return
    wrong = [name for name in names if not _verified(running, name, entries)]
    if wrong:
        raise OperatorError(
            f"expected every copy of {', '.join(wrong)} to have every point, found that some have not. A copy that "
            "lacks points is made anew by dropping it and running make up; see docs/day-two.md"
        )


def _verified(running: Running, name: str, entries: list[Entry] | None) -> bool:
    """Whether every copy has every point; shows what each lacks."""
    verdict = verifying.verify(running, name, entries, console)
    if verdict.findings:
        console.print(verdict.table())
        console.print(escape(f"{name}: {len(verdict.findings)} findings in {verdict.examined}"))
        return False
    console.print(escape(f"{name}: {verdict.examined}, nothing is missing or different"))
    return True


def _url(given: str) -> str:
    if not given.startswith(("http://", "https://")):
        raise OperatorError(f"expected the URL of the source in FROM=, found {given or 'none'}")
    return given.rstrip("/")


def _source_key(file: Path | None) -> str:
    """From a file or the environment: every user of the machine can read a command line."""
    if file is None:
        return os.environ.get(SOURCE_KEY, "")
    try:
        return file.read_text().strip()
    except OSError as error:
        raise OperatorError(f"expected the source's key in {file}, found {error.strerror}") from error


def _only_collection(source: NodePoints) -> str:
    with plainly("asking the source"):
        names = source.collections()
    if len(names) != 1:
        raise OperatorError(
            f"expected one collection on {source.url}, found {', '.join(names) or 'none'}; name it with COLLECTION="
        )
    return names[0]


def _reindex(found: dict[str, Any], source: NodePoints, name: str, keys: Keys, *, dry_run: bool) -> None:
    with plainly("reading the source"):
        texts = documents(source.points(name), keys)
    console.print(f"{len(texts)} documents in {name}, to be indexed into {found['collection']} by the ingest role")
    if not dry_run:
        tally = index_all(IngestClient(found["ingestUrl"], found["gatewayServiceToken"]), texts, console)
        if tally.skipped or tally.documents != len(texts):
            raise OperatorError(
                f"expected {len(texts)} documents to be indexed, found {tally.documents}; skipped: "
                f"{', '.join(skipped.source for skipped in tally.skipped[:10])}. The others are indexed"
            )
        console.print(f"{tally.documents} documents indexed in {tally.chunks} chunks; the source was not changed")
