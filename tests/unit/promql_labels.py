"""Which labels the answer to a PromQL expression has, and what the expression asks for that nobody sends.

A small type check over the syntax tree: a selector has the labels of its series, an aggregation those it groups by, an
operation between vectors those both sides can be matched on.
"""

import re

import promql_parser as promql

from tests.unit.metric_catalogue import Catalogue, Labels

VARIABLES = re.compile(r"\$\{?(\w+)\}?")
FROM_NOTHING = {"vector", "time", "scalar"}


class Reading:
    """One expression read; `labels` of its answer and `problems`, empty when every name and label is sent."""

    def __init__(self, expr: str, catalogue: Catalogue, variables: tuple[str, ...] = ()) -> None:
        self.problems: list[str] = []
        self._series = catalogue.series
        self._variables = variables
        self.labels = self._read(promql.parse(VARIABLES.sub(self._stand_in, expr)))

    def _stand_in(self, found: re.Match[str]) -> str:
        """What stands for a variable of Grafana while the expression is parsed."""
        if found[1] in ("__rate_interval", "__interval", "__range"):
            return "1m"
        if found[1] not in self._variables:
            self.problems.append(f"no variable ${found[1]}")
        return ".*"

    def _read(self, node: promql.Expr) -> Labels:  # noqa: PLR0911  one return for each kind of node
        match node:
            case promql.VectorSelector():
                return self._selected(node)
            case promql.MatrixSelector():
                return self._selected(node.vector_selector)
            case promql.AggregateExpr():
                return self._aggregated(node)
            case promql.BinaryExpr():
                return self._joined(node)
            case promql.Call():
                return self._called(node)
            case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
                return self._read(node.expr)
            case _:
                return {}

    def _selected(self, node: promql.VectorSelector) -> Labels:
        matchers = list(node.matchers.matchers)
        if node.name is None or any(matcher.name == "__name__" for matcher in matchers):
            self.problems.append("a selector without a name")
            return {}
        senders = self._series.get(node.name, ())
        fitting = [labels for labels in senders if all(_may_match(matcher, labels) for matcher in matchers)]
        if not fitting:
            asked = ",".join(f"{each.name}{each.value!r}" for each in matchers)
            self.problems.append(f"nobody sends {node.name} with {asked or 'any labels'}")
            return {}
        return {label: None for labels in fitting for label in labels}

    def _aggregated(self, node: promql.AggregateExpr) -> Labels:
        inner = self._read(node.expr)
        if str(node.op) in ("topk", "bottomk"):
            return inner
        if node.modifier is None:
            return {}
        named = list(node.modifier.labels)
        self._expect(named, inner, f"{node.op} over")
        if node.modifier.type == promql.AggModifierType.By:
            return {label: words for label, words in inner.items() if label in named}
        return {label: words for label, words in inner.items() if label not in named}

    def _joined(self, node: promql.BinaryExpr) -> Labels:
        left, right = self._read(node.lhs), self._read(node.rhs)
        how = node.modifier
        if how and how.matching:
            self._expect(how.matching.labels, left, f"left of {node.op}")
            if how.matching.type == promql.LabelModifierType.Include:
                self._expect(how.matching.labels, right, f"right of {node.op}")
        return left or right

    def _called(self, node: promql.Call) -> Labels:
        inner: Labels = {}
        for argument in node.args:
            inner = self._read(argument) or inner
        match node.func.name:
            case name if name in FROM_NOTHING:
                return {}
            case "absent":
                return {matcher.name: None for matcher in node.args[0].matchers.matchers}
            case "histogram_quantile":
                self._expect(["le"], inner, "histogram_quantile of")
                return {label: words for label, words in inner.items() if label != "le"}
            case "label_replace":
                return inner | {node.args[1].val: None}
        return inner

    def _expect(self, labels: list[str], there: Labels, where: str) -> None:
        if missing := [label for label in labels if label not in there]:
            self.problems.append(f"{where} {', '.join(sorted(there)) or 'no labels'}: no {', '.join(missing)}")


def _may_match(matcher: promql.Matcher, labels: Labels) -> bool:
    """Whether a series with these labels can match; a label that must be missing is asked for by nobody here."""
    if matcher.name not in labels:
        return False
    words = labels[matcher.name]
    if words is None or matcher.op in (promql.MatchOp.NotEqual, promql.MatchOp.NotRe):
        return True
    pattern = matcher.value if matcher.op == promql.MatchOp.Re else re.escape(matcher.value)
    return any(re.fullmatch(pattern, word) for word in words)
