"""What a stack publishes for the monitoring of the platform it runs on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from platforms.workload import AllowedConnection


@dataclass(frozen=True, kw_only=True)
class ScrapeJob:
    """The metrics of every replica of a workload: written once, for our own Prometheus and for an operator's.

    `addresses` are `host:port` of the replicas; `dns+host:port` is a name that resolves to all of them.
    `bearer` is the token that the endpoint asks for, `bearer_file` the name under which our Prometheus mounts it.
    `keeps` matches the names of the metrics that are kept, empty: all.
    """

    name: str
    target: AllowedConnection
    addresses: tuple[str, ...]
    bearer: pulumi.Input[str] | None = None
    bearer_file: str = ""
    labels_nodes: bool = False  # our own Prometheus labels each series with `node`, the first word of its host
    keeps: str = ""
    path: str = "/metrics"
    params: Mapping[str, str] = field(default_factory=dict)  # of the query
    outside: bool = False  # it runs elsewhere: no neighbour, and no Service that an operator's Prometheus could select


@dataclass(frozen=True, kw_only=True)
class MonitoringTargets:
    """Scrape jobs, rules (group -> rules as Prometheus reads them) and dashboards (file -> JSON) of a stack."""

    scrape_jobs: Sequence[ScrapeJob]
    rules: Mapping[str, Sequence[Mapping[str, Any]]]
    dashboards: Mapping[str, str]
    interval_seconds: int
