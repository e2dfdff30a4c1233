"""A command says what it does also where no terminal is, and its end fits 80 columns without a cut word."""

import io
import time
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from ops import status
from ops.daytwo import progress_bars
from ops.deployment import Progress
from ops.parts import Part, Parts
from ops.progress import Bars, every, working

LONG_IMAGE = "quay.io/prometheuscommunity/postgres-exporter:v0.17.1"
LONG_URL = "https://retrieval.search-platform.internal.production.example.com:8443/with/a/path"


def file_console() -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, width=80, highlight=False), written


def test_what_takes_long_is_named_again_and_again_in_a_file() -> None:
    console, written = file_console()
    with working(console, "previewing", interval_seconds=0.01):
        time.sleep(0.1)
    lines = written.getvalue().splitlines()
    assert lines[0] == "previewing"
    assert lines[1].startswith("previewing: ")
    assert lines[1].endswith("s so far")


def test_bars_in_a_file_are_lines_with_what_is_done_of_what() -> None:
    console, written = file_console()
    with Bars(console=console, interval_seconds=0.01) as bar:
        task = bar.add_task("documents indexed", total=4733)
        bar.advance(task, 64)
        time.sleep(0.1)
        bar.advance(task, 4669)
    lines = written.getvalue().splitlines()
    assert lines[0].startswith("documents indexed: 64 of 4733, ")
    assert lines[-1].startswith("documents indexed: 4733 of 4733, ")
    assert "\x1b" not in written.getvalue()


def test_bytes_are_written_in_a_unit_that_a_person_reads() -> None:
    console, written = file_console()
    with progress_bars.of_bytes(console) as bar:
        bar.advance(bar.add_task("snapshot", total=2_000_000), 1_500_000)
    assert "snapshot: 1.5 MB of 2.0 MB" in written.getvalue()


def test_nothing_is_printed_when_nothing_is_under_way() -> None:
    console, written = file_console()
    with every(console, str, interval_seconds=0.01):
        time.sleep(0.05)
    assert written.getvalue() == ""


def test_a_step_of_the_engine_is_named_until_it_is_done() -> None:
    progress = Progress(file_console()[0])
    step: Any = SimpleNamespace(op="create", urn="urn:pulumi:dev::rag::a:b:C::qdrant-1", type="a:b:C")
    progress._started(step)
    assert "create qdrant-1 (0 s)" in progress.under_way()
    progress._under_way.pop(step.urn)
    assert progress.under_way() == ""


@pytest.mark.parametrize("state", ["well", "no answer (ConnectTimeout); make up mends it, or so it is expected to do"])
def test_no_url_and_no_word_is_cut_at_the_end_of_make_up(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    monkeypatch.setattr(status, "_state", lambda *_: state)
    monkeypatch.setattr(status, "_guard_state", lambda *_: state)
    parts = Parts(parts=(Part(part="qdrant", wanted=LONG_IMAGE, used=LONG_IMAGE + "x", kind="stand-in"),))
    outputs = {"qdrantUrl": LONG_URL, "gatewayUrl": "http://127.0.0.1:8000", "grafanaUrl": "http://127.0.0.1:3001"}
    listed, well = status.endpoint_list(outputs, parts)
    console, written = file_console()
    console.print("\n".join(listed), soft_wrap=True)
    text = written.getvalue()
    assert well == (state == "well")
    for whole in (LONG_URL, LONG_IMAGE, "http://127.0.0.1:8000", *state.split()):
        assert whole in text  # a cut one would stand on two lines
    too_long = [line for line in text.splitlines() if len(line) > 80]
    assert all(LONG_URL in line for line in too_long)  # only what is longer than a line by itself
