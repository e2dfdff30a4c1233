"""The page's first line is the outcome, and the page loads nothing."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from proof.experiments.runner import not_run
from proof.experiments.scenarios import SCENARIOS
from proof.report.charts import chart
from proof.report.judge import judge, limits_of_fault
from proof.report.report import Figures, Measure, Report, Section, write
from slo.promises import Promises
from tests.unit.observations import FAULT, observed, with_a


def section(**changed: Any) -> Section:
    seen = observed(**changed)
    return Section(observed=seen, verdicts=judge(seen, limits_of_fault(Promises.read(), 60)))


def report(*sections: Section, stand_ins: tuple[str, ...] = ()) -> Report:
    return Report(
        title="Chaos",
        began="2026-11-23 10:00 UTC",
        command="make chaos",
        machine="2 cores",
        stand_ins=stand_ins,
        parts=[("qdrant", "qdrant/qdrant:v1.19.1", "real")],
        sections=sections,
    )


class Words(HTMLParser):
    """The text of a page, and everything it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.loads: list[str] = []
        self._in_body = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_body |= tag == "body"
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "data")]
        self.loads += [tag] if tag in ("script", "link", "iframe", "img") else []

    def handle_data(self, data: str) -> None:
        if self._in_body and data.strip():
            self.lines.append(data.strip())


def page(tmp_path: Path, made: Report) -> Words:
    return Words(write(made, tmp_path).read_text())


def test_the_report_of_a_failed_run_says_so_on_its_first_line(tmp_path: Path) -> None:
    found = page(tmp_path, report(section(), section(missing={"node": [7]})))
    assert found.lines[0].startswith("NOT KEPT: 1 of ")
    assert json.loads((tmp_path / "report.json").read_text())["kept"] is False


def test_the_report_of_a_good_run_says_so_on_its_first_line(tmp_path: Path) -> None:
    found = page(tmp_path, report(section(), section()))
    assert re.fullmatch(r"KEPT: (\d+) of \1 promises", found.lines[0])
    assert json.loads((tmp_path / "report.json").read_text())["kept"] is True


def test_a_run_that_tried_nothing_has_kept_nothing(tmp_path: Path) -> None:
    assert page(tmp_path, report()).lines[0] == "NOT KEPT: nothing was tried"


def test_figures_alone_are_measured_and_neither_kept_nor_broken(tmp_path: Path) -> None:
    figures = Figures(title="Hops", columns=["p50"], rows=[Measure(name="Kong", cells=["3.2 ms"])])
    made = report(Section(title="Hops", name="hops", verdicts=[], figures=[figures]))
    assert page(tmp_path, made).lines[0].startswith("MEASURED")


def test_calls_that_failed_as_declared_are_counted_on_the_first_line(tmp_path: Path) -> None:
    excused = section(calls=with_a("search", at=FAULT + 1, answered=False), may_fail={"search": "one gateway"})
    assert page(tmp_path, report(excused)).lines[0].endswith("; 1 calls failed where that is declared")


def test_a_scenario_that_could_not_be_run_has_not_been_kept(tmp_path: Path) -> None:
    found = page(tmp_path, report(section(), not_run(SCENARIOS[0], "kill", ["a shard is Dead"])))
    assert found.lines[0].startswith("NOT KEPT: 1 of ")


def test_a_report_that_could_not_be_run_alone_is_a_page_all_the_same(tmp_path: Path) -> None:
    assert (
        "not run: a shard is Dead" in page(tmp_path, report(not_run(SCENARIOS[0], "kill", ["a shard is Dead"]))).lines
    )


@pytest.mark.parametrize("stand_ins", [(), ("qdrant", "kong")])
def test_stand_ins_are_named_before_any_figure(tmp_path: Path, stand_ins: tuple[str, ...]) -> None:
    words = " ".join(page(tmp_path, report(section(), stand_ins=stand_ins)).lines[:8])
    assert ("Not the real thing:" in words) is bool(stand_ins)
    assert ("Every part is the real thing." in words) is not bool(stand_ins)
    assert all(name in words for name in stand_ins)


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    found = page(tmp_path, report(section(), section()))
    assert [load for load in found.loads if not load.startswith("#")] == []
    text = (tmp_path / "report.html").read_text()
    assert "url(" not in text
    assert "@import" not in text


def test_what_a_server_answered_can_not_write_into_the_page(tmp_path: Path) -> None:
    calls = with_a("read", at=FAULT + 1, answered=False)
    hostile = [*calls[:-1], type(calls[-1])(**{
        **{name: getattr(calls[-1], name) for name in calls[-1].__slots__}, "detail": "<script>alert(1)</script>"
    })]  # fmt: skip
    assert "script" not in page(tmp_path, report(section(calls=hostile))).loads


def test_figures_stand_in_the_page_and_beside_it(tmp_path: Path) -> None:
    figures = Figures(title="Hops", columns=["p50"], rows=[Measure(name="Kong", cells=["3.2 ms"])])
    made = report(Section(title="Hops", name="hops", verdicts=section().verdicts, figures=[figures]))
    assert "3.2 ms" in page(tmp_path, made).lines
    assert json.loads((tmp_path / "report.json").read_text())["sections"][0]["figures"][0]["title"] == "Hops"


def test_the_fault_stands_where_it_was_and_a_slow_call_higher_than_the_others() -> None:
    drawn = chart(observed(calls=with_a("read", at=FAULT + 1, milliseconds=900)))
    assert drawn.left < drawn.fault[0] < drawn.fault[1] == drawn.recovery[0] < drawn.recovery[1] < drawn.right
    [strip] = [strip for strip in drawn.strips if strip.stream == "read"]
    slowest = min(strip.bars, key=lambda bar: bar.top)
    assert drawn.fault[0] < slowest.x < drawn.fault[1]
    assert sum(bar.top < 40 for bar in strip.bars) == 1


def test_every_failed_call_is_drawn() -> None:
    drawn = chart(observed(calls=with_a("read", at=FAULT + 1, answered=False)))
    assert [len(strip.failures) for strip in drawn.strips] == [1, 0, 0]
