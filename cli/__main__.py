"""The commands behind `make`: each says what it does, and ends with an exit code that tells whether it was done."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markdown import Markdown
from rich.markup import escape

from access.polling import PollTimeout, poll, require
from cli import confirm, daytwo
from cli.confirm import Yes
from cli.entry import run
from cli.stack_of import Stack, console, files_of, outputs_of
from ops import corpus, doctor, gateway, lifecycle, status
from ops.ingest import IngestClient, Tally, index_all
from ops.parts import Parts
from ops.pin import pin as pin_images
from ops.pin import renew
from ops.review.run import refuse_changes, review
from ops.stack import OperatorError, only_one, open_stack, resources
from qdrant_admin.api import NodeUnreachable, QdrantApi, QdrantError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.add_typer(daytwo.app)
AllowDataLoss = Annotated[bool, typer.Option(help="carry out what deletes or replaces data, too")]


@app.command(epilog="Example: make up REFRESH=1")
def up(
    stack: Stack = "dev",
    *,
    corpus_too: Annotated[bool, typer.Option("--corpus/--no-corpus", help="index when the index is empty")] = True,
    refresh: Annotated[bool, typer.Option(help="look at what is really there first, and repair it")] = False,
    allow_data_loss: AllowDataLoss = False,
    yes: Yes = False,
) -> None:
    """Bring the stack up, index the standard library's documentation when the index is empty, show what runs."""
    files = files_of(stack)
    confirm.ask(files.settings(), files.parts, "Bring the stack up in", agreed=yes)
    progress = lifecycle.deploy(files, console, refresh=refresh, allow_data_loss=allow_data_loss)
    console.print(f"{len(progress.changes)} steps." if progress.changes else "Nothing had to be changed.")
    found = outputs_of(files)
    if corpus_too:
        _index_corpus(found, unfinished=files.folder / "indexing")
    if not _show(found, files.parts, timeout_seconds=20):
        raise OperatorError(
            "the stack is up as far as its state goes, but not all of it is well; the container's log "
            "says why: docker logs"
        )


@app.command(epilog="Example: make preview STACK=prod")
def preview(
    stack: Stack = "dev",
    *,
    refresh: Annotated[bool, typer.Option(help="against what is really there: shows what was changed by hand")] = False,
    markdown: Annotated[Path | None, typer.Option(help="write it to this file too")] = None,
    unchanged: Annotated[bool, typer.Option("--unchanged", help="exit code 1 when anything would change")] = False,
    allow_data_loss: AllowDataLoss = False,
) -> None:
    """Show what `up` would do, what it means, and what policies say; exit code 1 when it must not be done."""
    files = files_of(stack)
    files.settings()
    with only_one():
        opened = open_stack(files)
        lifecycle.readable(resources(opened))
        done = review(console, files, opened, allow_data_loss=allow_data_loss, refresh=refresh)
    if markdown:
        markdown.write_text(done.markdown)
    console.print(Markdown(done.markdown))
    if unchanged:
        refuse_changes(files.name, done.plan)
    if not done.verdict.passes:
        raise typer.Exit(1)


@app.command(epilog="Example: make down PURGE=1")
def down(
    stack: Stack = "dev",
    *,
    purge: Annotated[bool, typer.Option(help="remove data and secrets too")] = False,
    yes: Yes = False,
) -> None:
    """Stop and remove what runs; volumes and secrets stay unless purged."""
    files = files_of(stack)
    confirm.ask(files.settings(), files.parts, "Remove the stack, data and all, from" if purge else "Stop", agreed=yes)
    kept = lifecycle.take_down(files, console, purge=purge)
    if kept:
        console.print(f"Kept, for the next make up: {', '.join(kept)}. To remove them too: make down PURGE=1")


@app.command("status", epilog="Example: make status")
def show_status(stack: Stack = "dev") -> None:
    """Show what runs and whether it is well; exit code 1 when something is not."""
    files = files_of(stack)
    if not _show(outputs_of(files), files.parts):
        raise typer.Exit(1)


@app.command("doctor", epilog="Example: make doctor STACK=prod")
def show_doctor(stack: Stack = "dev") -> None:
    """Say what this machine has for each command, and what it lacks; exit code 1 when `up` of the stack cannot run."""
    lines = doctor.examine(files_of(stack))
    for line in lines:
        print(line.text())
    if doctor.cannot_run(lines):
        raise OperatorError(f"expected a machine that can run make up STACK={stack}, found what is missing above")


@app.command(epilog="Example: make ingest DOCS=docs")
def ingest(docs: Path, stack: Stack = "dev") -> None:
    """Index the Markdown, text and HTML files of a folder."""
    if not docs.is_dir():
        raise OperatorError(f"expected a folder, found {docs}; make ingest DOCS=path/to/your/documents")
    _report(_index(outputs_of(files_of(stack)), list(corpus.folder(docs))))


@app.command(epilog='Example: make search Q="parse a JSON string"')
def search(query: str, stack: Stack = "dev", limit: int = 5) -> None:
    """Search through the gateway, with a token, and show ranked passages with their sources."""
    found = outputs_of(files_of(stack))
    token = gateway.mint_token(found["gatewayJwtKey"], found["gatewayJwtSecret"])
    for rank, result in enumerate(gateway.search(found["gatewayUrl"], token, query, limit), start=1):
        title, source = escape(result["title"]), escape(result["source"])
        console.print(f"[bold]{rank}. {title}[/bold]  {result['score']:.3f}  [dim]{source}[/dim]")
        console.print(f"   {escape(' '.join(result['text'].split())[:240])}\n")


@app.command(epilog='Example: curl -H "Authorization: Bearer $(make -s token)" …; make token CONSUMER=dashboard')
def token(stack: Stack = "dev", valid_seconds: int = 3600, consumer: str = "", key: str = "") -> None:
    """Print a JWT for the gateway, valid for an hour; which keys can sign one goes to stderr, where there are more."""
    files = files_of(stack)
    gateway.check_validity(valid_seconds, files.settings().gateway.token_hours)
    keys = gateway.signing_keys(outputs_of(files))
    kid = gateway.choose_key(keys, consumer=consumer, key=key)
    if others := [f"{name} of {found['consumer']}" for name, found in keys.items() if name != kid]:
        print(f"signed with {kid} of {keys[kid]['consumer']}; there are also {', '.join(others)}", file=sys.stderr)
    print(gateway.mint_token(kid, keys[kid]["secret"], valid_seconds, keys[kid]["algorithm"]))


@app.command("qdrant-key", epilog="Example: make qdrant-key")
def qdrant_key(stack: Stack = "dev") -> None:
    """Print Qdrant's API key, for a client of your own."""
    print(outputs_of(files_of(stack))["qdrantApiKey"])


@app.command("admin-token", epilog="Example: make admin-token")
def admin_token(stack: Stack = "dev") -> None:
    """Print the token of Kong's Admin API; OperatorError for a gateway without one."""
    if not (token := outputs_of(files_of(stack)).get("gatewayAdminToken")):
        raise OperatorError("expected a gateway with an Admin API, found none: gatewayBackend database has one")
    print(token)


@app.command(epilog="Example: make pin STACK=prod")
def pin(stack: Stack = "dev") -> None:
    """Ask the registries for the digest of each image, and write it into the stack file."""
    pinned = pin_images(files_of(stack).stack_file)
    for image in pinned:
        console.print(image)
    console.print(f"{len(pinned)} images pinned." if pinned else "Every image was pinned already.")


@app.command(epilog="Example: make newest")
def newest(stack: Stack = "dev") -> None:
    """Ask the registries for each image's newest patch (Qdrant: minor version), and write it into the stack file."""
    newer = renew(files_of(stack).stack_file)
    for image in newer:
        console.print(image)
    console.print(f"{len(newer)} images renewed." if newer else "Every image was the newest of its line already.")


def _index_corpus(found: dict[str, Any], unfinished: Path) -> None:
    """Index the standard library when the index is empty, or when that was begun and cut off."""
    if unfinished.exists() or _index_is_empty(found):
        unfinished.touch()
        _report(_index(found, list(corpus.standard_library())))
        unfinished.unlink()


def _index_is_empty(found: dict[str, Any]) -> bool:
    try:
        collection = QdrantApi(found["qdrantUrl"], found["qdrantApiKey"]).collection(found["collection"])
    except (NodeUnreachable, QdrantError) as error:
        expected = f"expected Qdrant to say what is in {found['collection']}"
        raise OperatorError(f"{expected}, found {error}; see make status") from error
    return not (collection or {}).get("points_count")


def _index(found: dict[str, Any], documents: list[corpus.Document | corpus.Unreadable]) -> Tally:
    return index_all(IngestClient(found["ingestUrl"], found["gatewayServiceToken"]), documents, console)


def _report(tally: Tally) -> None:
    for skipped in tally.skipped:
        console.print(f"[yellow]skipped[/yellow] {escape(skipped.source)}: {escape(skipped.reason)}")
    rate = tally.chunks / tally.seconds if tally.seconds else 0
    console.print(
        f"Indexed {tally.documents} documents in {tally.chunks} chunks, {tally.seconds:.0f} s ({rate:.0f} chunks/s); "
        f"skipped {len(tally.skipped)}."
    )


def _show(found: dict[str, Any], parts: Parts, timeout_seconds: float = 0) -> bool:
    """Show what runs, as soon as all of it is well or the time is over; whether it is."""
    listings: list[status.Listing] = []

    def well() -> None:
        listings[:] = [status.endpoint_list(found, parts), status.cluster_list(found)]
        require(all(well for _, well in listings), "something that is not")

    with suppress(PollTimeout):
        poll(well, timeout_seconds, expected="all of it well", interval_seconds=1)
    for lines, _ in listings:
        console.print("\n".join(lines), soft_wrap=True)
    console.print(status.parts_note(parts))
    return all(well for _, well in listings)


if __name__ == "__main__":
    run(app)
