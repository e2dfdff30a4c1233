"""What is handed to a cluster's Prometheus and Grafana speaks of one namespace, and otherwise says what it said."""

import json
from collections.abc import Iterator
from typing import Any

import promql_parser as promql
import pytest

from components.monitoring.dashboards import dashboard_files
from components.monitoring.promises import Promises
from components.monitoring.rules import rule_groups
from platforms.kubernetes.scoped import scoped, scoped_board, scoped_rule
from tests.unit.metric_catalogue import Catalogue
from tests.unit.promql_labels import Reading

OURS = ("namespace", "rag-prod")
RULES = [rule for rules in rule_groups(Promises()).values() for rule in rules]
BOARDS = dashboard_files(Promises())
Selector = tuple[str, tuple[tuple[str, str], ...]]


class Selectors(Reading):
    """Every selector of an expression: its metric and matchers."""

    def __init__(self, expr: str) -> None:
        self.found: list[Selector] = []
        super().__init__(expr, Catalogue({}), ("node", "route", "collection", "service"))

    def _selected(self, node: promql.VectorSelector) -> Any:
        matchers = tuple(sorted((each.name, each.value) for each in node.matchers.matchers))
        self.found.append((str(node.name), matchers))
        return {}


def queries(tree: Any) -> Iterator[str]:
    """Every query of a dashboard."""
    if isinstance(tree, list):
        for branch in tree:
            yield from queries(branch)
    elif isinstance(tree, dict):
        for key, branch in tree.items():
            yield from [branch] if key == "expr" and isinstance(branch, str) else queries(branch)


def with_ours(selectors: list[Selector]) -> list[Selector]:
    return [(name, tuple(sorted((*matchers, OURS)))) for name, matchers in selectors]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_selector_of_a_rule_is_kept_to_the_namespace_and_nothing_else_is_changed(rule: Any) -> None:
    body = scoped_rule(rule.body(), "rag-prod")
    assert Selectors(body["expr"]).found == with_ours(Selectors(rule.expr).found)
    assert body["labels"] == rule.body().get("labels", {}) | {"namespace": "rag-prod"}


@pytest.mark.parametrize("name", BOARDS)
def test_each_query_of_a_dashboard_is_kept_to_the_namespace(name: str) -> None:
    before, after = (
        list(queries(json.loads(board))) for board in (BOARDS[name], scoped_board(BOARDS[name], "rag-prod"))
    )
    assert [Selectors(expr).found for expr in after] == [with_ours(Selectors(expr).found) for expr in before]


@pytest.mark.parametrize(
    ("expr", "kept"),
    [
        ("up", 'up{namespace="n"}'),
        ('up{job="kong"} == 0', 'up{namespace="n",job="kong"} == 0'),
        ('rate(a_total{x="}"}[5m] offset 1h)', 'rate(a_total{namespace="n",x="}"}[5m] offset 1h)'),
        ("sum by (job) (a)", 'sum by (job) (a{namespace="n"})'),
        ("a / on (job) group_left b", 'a{namespace="n"} / on (job) group_left b{namespace="n"}'),
        ("vector(1) > bool 0.5e3", "vector(1) > bool 0.5e3"),
        ('a{x=~"$node"} > $limit', 'a{namespace="n",x=~"$node"} > $limit'),
        ("job:up:ratio unless a", 'job:up:ratio{namespace="n"} unless a{namespace="n"}'),
    ],
)  # fmt: skip
def test_only_a_metric_gets_the_matcher(expr: str, kept: str) -> None:
    assert scoped(expr, "n") == kept
