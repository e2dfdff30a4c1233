"""Keep a scrape of a real component as its names and labels: `curl -s …/metrics | python -m tests.unit.record_metrics`.

A label with a closed set of words (`state`, …) is kept with its words, so that a matcher on a word nobody writes is
found; of any other label only the name is kept.
"""

import re
import sys
from collections import defaultdict

import yaml

# As Prometheus reads it. The parser of prometheus_client gives counters a `_total` that their component did not send.
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
WORDS = (
    "state",
    "direction",
    "subsystem",
    "outcome",
    "resource",
    "mode",
)  # labels whose words are part of the contract

Recorded = dict[str, dict[str, list[str] | None]]


def recorded(scrape: str) -> Recorded:
    """Series name -> label -> its words, or None for any; from the text of one scrape."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for sample in filter(None, map(SAMPLE.match, scrape.splitlines())):
        labels = found[sample[1]]  # a series without labels is one as well
        for label, value in LABEL.findall(sample[2] or ""):
            labels[label].add(value)
    return {
        name: {label: sorted(values) if label in WORDS else None for label, values in sorted(labels.items())}
        for name, labels in sorted(found.items())
    }


def main() -> None:
    """Print the part `metrics` of a file of tests/unit/data/metrics; who calls adds version, source and jobs."""
    for name, labels in recorded(sys.stdin.read()).items():
        print(f"  {name}: {yaml.safe_dump(labels, default_flow_style=True, width=1000).strip()}")


if __name__ == "__main__":
    main()
