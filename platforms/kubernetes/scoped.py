"""Queries of one namespace: a cluster's Prometheus has the metrics of all, and our rules are about our own."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

LABEL = "namespace"  # on every series of a target that a ServiceMonitor found
STRING = r'"(?:\\.|[^"\\])*"'
TOKEN = re.compile(
    rf"{STRING}|\[[^\]]*\]|\$\{{?\w+\}}?|\d[\w.]*"  # a text, a window, a variable of Grafana, a number or duration
    r"|(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"  # labels
    r"|\w+\s*(?=\(|(?:by|without)\b)"  # a function
    rf"|(?P<metric>[a-zA-Z_:][\w:]*)\s*(?:\{{(?P<matchers>(?:{STRING}|[^}}\"])*)\}})?"
)
WORDS = {"and", "or", "unless", "on", "ignoring", "group_left", "group_right", "bool", "offset", "inf", "nan", "atan2"}


def scoped(expr: str, namespace: str) -> str:
    """The PromQL expression, each of its selectors kept to the namespace."""

    def kept(found: re.Match[str]) -> str:
        metric = found["metric"]
        if metric is None or metric.lower() in WORDS:
            return found[0]
        matchers = [f'{LABEL}="{namespace}"', *filter(None, [(found["matchers"] or "").strip(" ,")])]
        after = found[0][len(found[0].rstrip()) :]
        return f"{metric}{{{','.join(matchers)}}}{after}"

    return TOKEN.sub(kept, expr)


def scoped_rule(rule: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """The rule of that namespace; its recording or alert has the label, though it may have been summed away."""
    labels = {**rule.get("labels", {}), LABEL: namespace}
    return {**rule, "expr": scoped(rule["expr"], namespace), "labels": labels}


def scoped_board(content: str, namespace: str) -> str:
    """The dashboard's JSON with every query kept to the namespace."""
    return orjson.dumps(_scoped_tree(orjson.loads(content), namespace), option=orjson.OPT_INDENT_2).decode()


def _scoped_tree(tree: Any, namespace: str) -> Any:
    if isinstance(tree, list):
        return [_scoped_tree(branch, namespace) for branch in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        key: scoped(branch, namespace) if key == "expr" and isinstance(branch, str) else _scoped_tree(branch, namespace)
        for key, branch in tree.items()
    }
