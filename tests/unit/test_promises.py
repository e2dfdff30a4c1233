"""The budget file says what is promised, and a mistake in it is named by its key."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from slo.promises import PROMISES_FILE, Promises, PromisesError


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = PROMISES_FILE.read_text()
    assert old in text
    path = tmp_path / "promises.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_promises_of_the_project_are_read() -> None:
    promises = Promises.read()
    assert promises.slo.availability.error_budget == 0.001
    assert promises.slo.latency.error_budget == 0.01
    assert promises.fault.lost_points == promises.rolling.lost_points == 0


def test_a_promise_can_not_be_bent_in_a_run() -> None:
    with pytest.raises(ValidationError):
        Promises.read().load.p95_ms = 9999


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("p95_ms: 500", "p95_seconds: 0.5", "load.p95_seconds"),
        ("  p95_ms: 500\n", "", "load.p95_ms"),
        ("worst_read_ms: 1000", "worst_read_ms: fast", "fault.worst_read_ms"),
        ("lost_points: 0", "lost_points: 3", "fault.lost_points"),
        ("objective: 0.999", "objective: 99.9", "slo.availability.objective"),
        ("threshold_ms: 400", "threshold_ms: 500", "slo.latency.threshold_ms"),
        ("breaker:", "braker:", "breaker"),
    ],
)
def test_a_mistake_is_named_by_its_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    with pytest.raises(PromisesError, match=f"  - {key}: "):
        Promises.read(changed(tmp_path, old, new))


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "promises.yaml"
    path.write_text("load: {p95_ms: -1}\n")
    with pytest.raises(PromisesError, match=r"(?s)load\.p95_ms.*recovery"):
        Promises.read(path)


def test_what_is_no_yaml_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "promises.yaml"
    path.write_text("load: [\n")
    with pytest.raises(PromisesError, match=r"expected YAML in promises\.yaml"):
        Promises.read(path)
