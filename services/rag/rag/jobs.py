"""Re-indexing as jobs: accepted at once, run one after another, with readable progress."""

import asyncio
import logging
import uuid

from rag.contract import Progress
from rag.failures import Declined, Unavailable
from rag.indexing import Indexer
from rag.metrics import Metrics
from rag.sources import Folder, Sent

log = logging.getLogger(__name__)

REMEMBERED, WAITING = 100, 8
WAITING_BYTES = 64 * 2**20  # of requests in memory, or one job


class Jobs:
    """The jobs of this process; they are not shared with other processes. Repeating a job is safe."""

    def __init__(self, indexer: Indexer, metrics: Metrics) -> None:
        self._indexer = indexer
        self._metrics = metrics
        self._known: dict[str, Progress] = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held_bytes = 0
        self._waiting_folder: Progress | None = None

    def accept(self, documents: Sent | Folder) -> Progress:
        """Add a job; raise `Unavailable` when too many jobs wait already, or too large ones.

        A folder that waits to be read already is not added again: it is listed when its turn comes.
        """
        if isinstance(documents, Folder) and self._waiting_folder and self._waiting_folder.state == "queued":
            return self._waiting_folder
        if len(self._tasks) > WAITING:
            raise Unavailable("ingest", f"expected at most {WAITING} waiting jobs, found them; send these later")
        if self._held_bytes and self._held_bytes + documents.held_bytes > WAITING_BYTES:
            raise Unavailable("ingest", f"expected waiting jobs of at most {WAITING_BYTES:,} bytes; send these later")
        self._held_bytes += documents.held_bytes
        progress = Progress(job=uuid.uuid4().hex, documents_total=0)
        if isinstance(documents, Folder):
            self._waiting_folder = progress
        else:
            progress.documents_total = len(documents)
        self._known[progress.job] = progress
        while len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))
        task = asyncio.create_task(self._run(documents, progress))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return progress

    def find(self, job: str) -> Progress | None:
        """Return how far a job is."""
        return self._known.get(job)

    def latest(self) -> list[Progress]:
        """Return all that are remembered, latest first."""
        return list(reversed(self._known.values()))

    async def _run(self, documents: Sent | Folder, progress: Progress) -> None:
        async with self._turn:
            progress.state = "running"
            progress.documents_total = await asyncio.to_thread(len, documents)
            try:
                await self._indexer.index(documents, progress)
            except Unavailable as error:
                first = "change what it refuses, then " if isinstance(error, Declined) else ""
                progress.state = "failed"
                progress.error = f"{error}; {first}send the documents again, what is stored already is not done twice"
            except Exception:
                log.exception("unexpected failure")
                progress.state, progress.error = "failed", "unexpected failure; see the log of this service"
            else:
                progress.state = "done"
            self._held_bytes -= documents.held_bytes
            self._metrics.jobs.labels(progress.state).inc()
            log.info("job ended", extra=progress.model_dump(exclude={"skipped"}))
