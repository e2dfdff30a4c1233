"""Re-indexing as jobs: taken at once, done one after another, their progress readable."""

import asyncio
import logging
import uuid
from collections.abc import Sequence

from rag.contract import Document, Progress
from rag.failures import Unavailable
from rag.indexing import Indexer
from rag.metrics import Metrics

log = logging.getLogger(__name__)

REMEMBERED, WAITING = 100, 8


class Jobs:
    """The jobs of this process; another process knows nothing of them, and repeating one is safe."""

    def __init__(self, indexer: Indexer, metrics: Metrics) -> None:
        self._indexer = indexer
        self._metrics = metrics
        self._known: dict[str, Progress] = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, documents: Sequence[Document]) -> Progress:
        """Take documents in; raise `Unavailable` when too many jobs wait already."""
        if len(self._tasks) > WAITING:
            raise Unavailable("ingest", f"expected at most {WAITING} waiting jobs, found them; send these later")
        progress = Progress(job=uuid.uuid4().hex, documents_total=len(documents))
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

    async def _run(self, documents: Sequence[Document], progress: Progress) -> None:
        async with self._turn:
            progress.state = "running"
            try:
                await self._indexer.index(documents, progress)
            except Unavailable as error:
                progress.state = "failed"
                progress.error = f"{error}; send the documents again, what is stored already is not done twice"
            except Exception:
                log.exception("unexpected failure")
                progress.state, progress.error = "failed", "unexpected failure; see the log of this service"
            else:
                progress.state = "done"
            self._metrics.jobs.labels(progress.state).inc()
            log.info("job ended", extra=progress.model_dump(exclude={"skipped"}))
