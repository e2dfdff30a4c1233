"""Documents reach the ingest role in batches, and what became of them is told truly; its token is told to nobody."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console
from tenacity import stop_after_attempt, wait_none

from ops.corpus import Document, Unreadable
from ops.ingest import BATCH, IngestClient, Tally, index_all
from ops.stack import OperatorError
from tests.unit.fake_time import FakeTime
from tests.unit.served import Answer, Asked, Silence, served

TOKEN = "t0ken-of-the-service"


@dataclass
class FakeIngest:
    """The ingest role: a job is queued when it is first asked for, then done or whatever `ends_as` says."""

    url: str = ""
    ends_as: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # source -> why it is skipped
    silences: int = 0  # requests that are cut off before it answers again
    jobs: list[list[str]] = field(default_factory=list)  # the sources of each job
    observed: set[int] = field(default_factory=set)

    def answer(self, asked: Asked) -> Answer:
        if self.silences:
            self.silences -= 1
            raise Silence
        if asked.headers.get("x-service-token") != TOKEN:
            return Answer(401, {"error": "unauthorized", "message": "expected one X-Service-Token header"})
        if asked.method == "POST":
            self.jobs.append([document["source"] for document in asked.json["documents"]])
            return Answer(202, {"job": str(len(self.jobs) - 1)})
        job = int(asked.path.rpartition("/")[2])
        if job not in self.observed:
            self.observed.add(job)
            return Answer(200, {"state": "queued"})
        skipped = [
            {"source": source, "reason": self.refused[source]} for source in self.jobs[job] if source in self.refused
        ]
        done = len(self.jobs[job]) - len(skipped)
        progress = {"state": "done", "documents_done": done, "chunks_done": 3 * done, "skipped": skipped, "error": None}
        return Answer(200, progress | self.ends_as)


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIngest]:
    monkeypatch.setattr("ops.ingest.IngestClient._answer.retry.wait", wait_none())
    role = FakeIngest()
    with served(role.answer) as role.url:
        yield role


def documents(count: int) -> list[Document]:
    return [Document(source=f"doc-{number}", title="A title", text="Some text.") for number in range(count)]


def index(role: FakeIngest, found: list[Document | Unreadable], token: str = TOKEN) -> tuple[Tally, str]:
    """The tally, and everything that was shown meanwhile."""
    shown = io.StringIO()
    tally = index_all(
        IngestClient(role.url, token, FakeTime().clock), found, Console(file=shown, force_terminal=True, width=100)
    )
    return tally, shown.getvalue()


def test_documents_go_in_batches_and_each_goes_once(role: FakeIngest) -> None:
    tally, shown = index(role, [*documents(2 * BATCH + 5)])
    assert [len(job) for job in role.jobs] == [BATCH, BATCH, 5]
    assert len({source for job in role.jobs for source in job}) == 2 * BATCH + 5
    assert (tally.documents, tally.chunks, tally.skipped) == (2 * BATCH + 5, 3 * (2 * BATCH + 5), [])
    assert f"{2 * BATCH + 5}/{2 * BATCH + 5}" in shown


def test_what_could_not_be_read_is_skipped_and_so_is_what_the_role_skips(role: FakeIngest) -> None:
    unreadable = Unreadable(source="latin.txt", reason="expected readable UTF-8 text")
    role.refused = {"doc-1": "expected text, found none"}
    tally, _ = index(role, [unreadable, *documents(3)])
    assert (tally.documents, tally.chunks) == (2, 6)
    assert tally.skipped == [unreadable, Unreadable(source="doc-1", reason="expected text, found none")]


def test_nothing_to_index_is_no_error(role: FakeIngest) -> None:
    tally, _ = index(role, [])
    assert (tally.documents, role.jobs) == (0, [])


def test_a_job_that_failed_stops_the_indexing_with_its_reason(role: FakeIngest) -> None:
    role.ends_as = {"state": "failed", "error": "qdrant is not available"}
    with pytest.raises(OperatorError, match=r"qdrant is not available; run make ingest again"):
        index(role, [*documents(BATCH + 1)])
    assert len(role.jobs) == 1


def test_a_role_that_is_silent_for_a_while_is_asked_again(role: FakeIngest) -> None:
    role.silences = 3
    assert index(role, [*documents(1)])[0].documents == 1


def test_a_role_that_stays_silent_is_named_with_what_to_do(role: FakeIngest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.ingest.IngestClient._answer.retry.stop", stop_after_attempt(3))
    role.silences = 3
    with pytest.raises(OperatorError, match=f"ingest role to answer at {role.url}, found ConnectionError; see make st"):
        index(role, [*documents(1)])


def test_a_refusal_is_told_in_the_roles_words_and_not_asked_again(role: FakeIngest) -> None:
    with pytest.raises(OperatorError, match=r"answered 401: .*expected one X-Service-Token header"):
        index(role, [*documents(1)], token="another")
    assert role.jobs == []


@pytest.mark.parametrize("spoil", [{}, {"ends_as": {"state": "failed"}}, {"silences": 9}])
def test_the_token_is_never_shown(role: FakeIngest, monkeypatch: pytest.MonkeyPatch, spoil: dict[str, Any]) -> None:
    monkeypatch.setattr("ops.ingest.IngestClient._answer.retry.stop", stop_after_attempt(2))
    for fact, value in spoil.items():
        setattr(role, fact, value)
    try:
        shown = index(role, [*documents(2)])[1]
    except OperatorError as error:
        shown = f"{error} {error!r} {error.__cause__!r}"
    assert shown
    assert TOKEN not in shown
    assert TOKEN not in f"{IngestClient(role.url, TOKEN)!r}"
