"""The day-two commands behind `make`: each shows what it will do, does it, and says how that was verified."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ops.balancer import balancer_of
from ops.daytwo import backup as taking
from ops.daytwo import migrate as moving
from ops.daytwo import restore as restoring
from ops.daytwo import steps
from ops.daytwo import verify as verifying
from ops.daytwo.node_disk import NodeDisk
from ops.daytwo.reindex import Keys, documents
from ops.daytwo.replace_node import Replacement
from ops.daytwo.running import Running, plainly
from ops.daytwo.scale import Scaling
from ops.ingest import IngestClient, index_all
from ops.parts import load_parts
from ops.preflight import connect_engine
from ops.stack import OperatorError, StackFiles, only_one, open_stack, outputs, use_parts
from providers.node_points import NodePoints

app = typer.Typer()
console = Console(highlight=False)
Stack = Annotated[str, typer.Option(help="the stack file to use: Pulumi.<stack>.yaml")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="show the plan and change nothing")]
SOURCE_KEY = "SOURCE_QDRANT_API_KEY"


@app.command()
def backup(
    folder: Path,
    stack: Stack = "dev",
    collection: Annotated[list[str] | None, typer.Option(help="only this one; may be given again")] = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Take a snapshot of every shard, and write what a restore needs beside them."""
    running = Running.of(_found(_files(stack)))
    plan = taking.plan_backup(running, collection or [])
    console.print(plan.table())
    if not dry_run:
        with only_one():
            began = time.monotonic()
            manifest = taking.back_up(running, plan, folder, console)
        console.print(taking.summary(manifest, folder, time.monotonic() - began))


@app.command()
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
    running = Running.of(_found(_files(stack)))
    planned = restoring.plan_restore(running, folder, collection, into=into, replace=replace)
    for each in planned:
        aliases = ", ".join(each.aliases) or "none"
        console.print(f"{each.copy.name} → {each.target}: {each.copy.points} points; then its aliases: {aliases}")
    if not dry_run:
        with only_one():
            for each in planned:
                console.print(restoring.restore(running, each, console))


@app.command()
def migrate(
    from_: Annotated[str, typer.Option("--from", help="URL of the source, such as http://10.0.0.5:6333")] = "",
    stack: Stack = "dev",
    collection: Annotated[str | None, typer.Option(help="the source's, if it has several")] = None,
    from_key_file: Annotated[Path | None, typer.Option(help=f"file with its key; else {SOURCE_KEY} is read")] = None,
    into: Annotated[str | None, typer.Option(help="name of the new collection")] = None,
    *,
    reindex: Annotated[bool, typer.Option(help="embed the texts anew instead of copying vectors")] = False,
    text_key: Annotated[str, typer.Option(help="with --reindex: the payload's key of the text")] = "text",
    rollback: Annotated[bool, typer.Option(help="let the alias mean again what it meant before")] = False,
    dry_run: DryRun = False,
) -> None:
    """Move a collection of another Qdrant into the cluster, and cut over by alias when both are the same."""
    files = _files(stack)
    found = _found(files)
    running, declared = Running.of(found), files.settings().collection
    if rollback:
        words = f"alias {declared.alias} would mean again what it meant"
        console.print(words if dry_run else moving.roll_back(running, declared.alias))
        return
    key = _source_key(from_key_file)
    source = NodePoints(_url(from_), key)
    name = collection or _only_collection(source)
    if reindex:
        _reindex(found, source, name, Keys(text=text_key), dry_run=dry_run)
        return
    target = into or moving.target_name(declared, source, name)
    planned = moving.plan_migration(running, source, name, declared, target=target)
    console.print("\n".join(planned.lines()))
    if not dry_run:
        with only_one():
            console.print(moving.migrate(running, planned, key, console))


@app.command("replace-node")
def replace_node(
    node: int,
    stack: Stack = "dev",
    *,
    force_living: Annotated[bool, typer.Option(help="even if it lives, or its volume is whole")] = False,
    dry_run: DryRun = False,
) -> None:
    """Replace a node whose disk is lost, and make every copy again that it held."""
    files = _files(stack)
    found = _found(files)
    running = Running.of(found)
    if node not in range(len(running.node_urls)):
        raise OperatorError(f"expected a node from 0 to {len(running.node_urls) - 1}, found {node}")
    disk = NodeDisk(engine=connect_engine(), prefix=files.settings().stack.name_prefix, ordinal=node)
    replacement = Replacement(files=files, running=running, balancer=balancer_of(found), disk=disk, console=console)
    planned = replacement.steps(force_living=force_living)
    _show_or_take(planned, "replacing the node", dry_run=dry_run)
    if not dry_run:
        console.print(f"{disk.name} is a member again; every shard has all its copies, Active, from every node's view")


@app.command()
def scale(
    nodes: Annotated[int | None, typer.Option(help="to see a plan; what is done, the stack file says")] = None,
    stack: Stack = "dev",
    *,
    dry_run: DryRun = False,
) -> None:
    """Make the cluster as large as the stack file says, and move the copies where they belong."""
    files = _files(stack)
    wanted = files.settings().qdrant.nodes
    if nodes not in (None, wanted):
        if not dry_run:
            raise OperatorError(
                f'expected rag-platform:qdrantNodes: "{nodes}" in {files.stack_file.name}, found {wanted}: change that '
                "line, so that the next make up knows it too, then run the same command again"
            )
        files = files.with_config(qdrantNodes=str(nodes))
    found = _found(files)
    scaling = Scaling(
        files=files,
        running=Running.of(found),
        balancer=balancer_of(found),
        prefix=files.settings().stack.name_prefix,
        nodes=files.settings().qdrant.nodes,
        console=console,
    )
    console.print(scaling.table())
    _show_or_take(scaling.steps(), "scaling", dry_run=dry_run)
    if not dry_run:
        console.print(f"{scaling.nodes} nodes, one settled cluster, every shard with all its copies, Active")


@app.command()
def verify(
    ledger: Annotated[Path | None, typer.Option(help="acknowledged points; else copies are compared")] = None,
    stack: Stack = "dev",
    collection: Annotated[str | None, typer.Option(help="another one than the stack serves")] = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Read every copy of every shard: exit code 1, and a table, when one lacks a point or has it otherwise."""
    found = _found(_files(stack))
    running, name = Running.of(found), collection or str(found["collection"])
    entries = verifying.read_ledger(ledger) if ledger else None
    if dry_run:
        what = f"{len(entries)} acknowledged points" if entries else "every point"
        console.print(f"{what} of {name} would be read through {', '.join(running.node_urls)}; nothing is written")
        return
    verdict = verifying.verify(running, name, entries, console)
    if verdict.findings:
        console.print(verdict.table())
        raise OperatorError(
            f"expected every copy of {name} to have every point, found {len(verdict.findings)} findings in "
            f"{verdict.looked_at}. A copy that lacks points is made anew by dropping it and running make up; see "
            "docs/day-two.md"
        )
    console.print(f"{name}: {verdict.looked_at}, nothing is missing or different")


def _show_or_take(planned: Sequence[steps.Step], doing: str, *, dry_run: bool) -> None:
    steps.show(planned, console)
    if not dry_run:
        with plainly(doing):
            steps.take(planned, console)


def _files(stack: str) -> StackFiles:
    parts = load_parts()
    use_parts(parts)
    return StackFiles(name=stack, parts=parts)


def _found(files: StackFiles) -> dict[str, Any]:
    return outputs(open_stack(files))


def _url(given: str) -> str:
    if not given.startswith(("http://", "https://")):
        raise OperatorError(f"expected the URL of the source after --from, found {given or 'none'}")
    return given.rstrip("/")


def _source_key(file: Path | None) -> str:
    """From a file or the environment: what stands in a command line is seen by everybody on the machine."""
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
            f"expected one collection on {source.url}, found {', '.join(names) or 'none'}; name it with --collection"
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
