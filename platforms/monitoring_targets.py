"""What a stack tells whoever watches the platform it runs on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from platforms.workload import Call


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """`/metrics` of every replica of a workload, as one job.

    `bearer` is the token it wants, if any; `keeps` matches the names of the metrics that are kept, empty: all.
    """

    job: str
    call: Call
    bearer: pulumi.Input[str] | None = None
    keeps: str = ""


@dataclass(frozen=True, kw_only=True)
class MonitoringTargets:
    """What to scrape, how to judge it (group -> rules as Prometheus reads them) and how to show it (file -> JSON)."""

    scrapes: Sequence[Scrape]
    rules: Mapping[str, Sequence[Mapping[str, Any]]]
    dashboards: Mapping[str, str]
    interval_seconds: int
