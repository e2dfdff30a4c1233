"""Which series exist: recorded from scrapes of real components, or read from their source; one file for each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

FOLDER = Path(__file__).parent / "data/metrics"
SCRAPED: Mapping[str, None] = {"job": None, "instance": None}  # what Prometheus adds to whatever it scrapes

Labels = dict[str, frozenset[str] | None]  # label -> the words it may say, or None for any


@dataclass(frozen=True)
class Catalogue:
    """Series name -> its labels, once for each component that sends it."""

    series: Mapping[str, tuple[Labels, ...]]

    @classmethod
    def read(cls, folder: Path = FOLDER) -> Self:
        """All files of the folder; each says version, source, the jobs that scrape it, and its metrics."""
        found: dict[str, tuple[Labels, ...]] = {}
        parts = [yaml.safe_load(file.read_text()) for file in sorted(folder.glob("*.yaml"))]
        every_job = frozenset(job for part in parts for job in part["jobs"])
        for part in parts:
            for name, labels in _of(part, every_job):
                found[name] = (*found.get(name, ()), labels)
        return cls(found)

    def with_series(self, name: str, *labels: Labels) -> "Catalogue":
        """The catalogue and one series more, as a recording rule makes it."""
        return Catalogue({**self.series, name: (*self.series.get(name, ()), *labels)})


def _of(part: Mapping[str, Any], every_job: frozenset[str]) -> Iterator[tuple[str, Labels]]:
    jobs: Labels = {**SCRAPED, "job": frozenset(part["jobs"]) or every_job}
    jobs |= {"node": None} if "qdrant-cluster" in part["jobs"] or not part["jobs"] else {}
    for name, labels in part["metrics"].items():
        yield name, jobs | {label: frozenset(words) if words else None for label, words in labels.items()}
