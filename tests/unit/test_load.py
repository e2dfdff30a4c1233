"""What k6 leaves behind is read as it is meant, and a missed threshold is a broken promise."""

from typing import Any

import pytest

from ops.stack import OperatorError
from proof.measure.k6 import SCRIPTS, pinned
from proof.measure.load import calls_of, figures_of, verdicts_of

HEADER = "metric_name,timestamp,metric_value,expected_response,name,status,error"


def summary(*, slow: bool = False, unchecked: bool = False) -> dict[str, Any]:
    return {
        "metrics": {
            "http_req_duration{name:search}": {
                "values": {"med": 12, "p(95)": 700 if slow else 80, "p(99)": 900, "max": 950, "count": 100},
                "thresholds": {"p(95)<500": {"ok": not slow}},
            },
            "http_req_waiting": {"values": {"med": 1}},
        },
        "root_group": {"checks": [{"name": "a forged token is refused", "passes": 0 if unchecked else 9, "fails": 0}]},
    }


def test_thresholds_and_checks_that_held_are_promises_kept() -> None:
    assert [(v.promise, v.found, v.kept) for v in verdicts_of(summary())] == [
        ("search: latency", "80 ms", True),
        ("a forged token is refused", "9 of 9", True),
    ]


def test_a_missed_threshold_is_a_broken_promise() -> None:
    assert [v.kept for v in verdicts_of(summary(slow=True))] == [False, True]


def test_a_check_that_was_never_made_is_a_broken_promise() -> None:
    assert [v.kept for v in verdicts_of(summary(unchecked=True))] == [True, False]


def test_each_kind_of_call_has_its_figures() -> None:
    [row] = figures_of(summary()).rows
    assert (row.name, row.cells) == ("search", ["100", "12.0 ms", "80.0 ms", "900.0 ms", "950.0 ms"])


def test_a_call_began_as_long_before_its_line_as_it_took() -> None:
    rows = [
        HEADER,
        "http_req_duration,2000,500,true,search,200,",
        "http_req_duration,3000,10,false,write,503,",
        "http_req_duration,3000,10,true,refused,401,",
        "http_reqs,3000,1,true,search,200,",
    ]
    assert [(c.stream, c.due, c.ended, c.answered, c.detail) for c in calls_of(iter(rows))] == [
        ("search", 1.5, 2.0, True, ""),
        ("write", pytest.approx(2.99), 3.0, False, "503"),
    ]


def test_the_version_of_k6_is_pinned_in_one_place() -> None:
    assert pinned((SCRIPTS / "go.mod").read_text()).startswith("v")
    with pytest.raises(OperatorError, match=r"expected a line `go\.k6\.io/k6 v…`"):
        pinned("module x\n")
