"""Sending documents to the ingest role, with a progress bar, and saying what was skipped."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import requests
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_exponential

from access.direct import direct_session
from access.kubernetes.tunnel import local
from access.polling import SYSTEM_CLOCK, Clock, poll, require
from ops.corpus import Document, Unreadable
from ops.progress import Bars
from ops.stack import OperatorError
from qdrant_admin.api import path

BATCH = 64  # documents in one job: small enough for the bar to move, large enough to embed in bulk
BATCH_CHARACTERS = 4 << 20  # of all texts in one job: well below the ingest role's body limit, escapes included


@dataclass
class Tally:
    """What became of the documents."""

    documents: int = 0
    chunks: int = 0
    seconds: float = 0
    skipped: list[Unreadable] = field(default_factory=list)


class IngestClient:
    """The ingest role, by its URL and the service token."""

    def __init__(self, url: str, token: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self._url, self._clock = url, clock
        self._session = direct_session()
        self._session.headers["X-Service-Token"] = token

    def index(self, documents: Sequence[Document]) -> dict[str, Any]:
        """Index one batch, to its end; repeating it is safe, ids follow from the source."""
        job = self._call("POST", "/reindex", {"documents": [asdict(document) for document in documents]})["job"]

        def ended() -> dict[str, Any]:
            progress = self._call("GET", path("reindex", job))
            require(progress["state"] not in ("queued", "running"), progress["state"])
            return progress

        progress = poll(ended, math.inf, expected="the job to end", interval_seconds=0.2, clock=self._clock)
        if progress["state"] != "done":
            raise OperatorError(
                f"indexing stopped: {progress.get('error') or progress['state']}; run make ingest again"
            )
        return progress

    def _call(self, method: str, where: str, body: Any = None) -> dict[str, Any]:
        try:
            answer = self._answer(method, where, body)
        except requests.RequestException as error:
            raise OperatorError(
                f"expected the ingest role to answer at {self._url}, found {type(error).__name__}; see make status"
            ) from error
        if answer.status_code >= 400:
            raise OperatorError(f"the ingest role answered {answer.status_code}: {answer.text[:300]}")
        found: dict[str, Any] = answer.json()
        return found

    @retry(
        retry=retry_if_exception_type((requests.ConnectionError, requests.Timeout)),
        stop=stop_after_delay(60),
        wait=wait_exponential(0.2, max=5),
        reraise=True,
    )
    def _answer(self, method: str, where: str, body: Any) -> requests.Response:
        return self._session.request(method, local(self._url) + where, json=body, timeout=60)


def index_all(client: IngestClient, found: Iterable[Document | Unreadable], console: Console) -> Tally:
    """Index everything that was found; a document that cannot be read is named and skipped."""
    tally = Tally()
    began = time.monotonic()
    documents = list(_readable(found, tally))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("documents indexed", total=len(documents))
        for batch in _batches(documents):
            progress = client.index(batch)
            tally.documents += progress["documents_done"]
            tally.chunks += progress["chunks_done"]
            tally.skipped += [Unreadable(**skipped) for skipped in progress["skipped"]]
            bar.advance(task, len(batch))
    tally.seconds = time.monotonic() - began
    return tally


def _readable(found: Iterable[Document | Unreadable], tally: Tally) -> Iterator[Document]:
    for item in found:
        if isinstance(item, Unreadable):
            tally.skipped.append(item)
        else:
            yield item


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        if batch and (len(batch) == BATCH or characters + len(document.text) > BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(document)
        characters += len(document.text)
    if batch:
        yield batch
