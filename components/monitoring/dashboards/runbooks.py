"""The runbooks inside Grafana, so that a panel's link works where the repository is not at hand."""

import re
from functools import cache
from pathlib import Path

RUNBOOKS = Path(__file__).resolve().parents[3] / "docs/runbooks.md"
UID = "rag-runbooks"


@cache
def sections() -> dict[str, str]:
    """Return alert -> its section of docs/runbooks.md; under "" what stands before the first."""
    head, *parts = re.split(r"^## ", RUNBOOKS.read_text(), flags=re.MULTILINE)
    named = {part.partition("\n")[0].strip(): part.partition("\n")[2].strip() for part in parts}
    return {"": head.partition("\n")[2].strip(), **named}


def runbook_url(alert: str) -> str:
    """Return where the section is shown by itself; KeyError for an alert without one."""
    return f"/d/{UID}?viewPanel=panel-{panel_id(alert)}"


def panel_id(alert: str) -> int:
    """Return the number of the section's panel."""
    numbers = {name: number for number, name in enumerate(sections(), start=1)}
    return numbers[alert]
