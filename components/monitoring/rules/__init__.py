"""Recording rules and alerts as code."""

import yaml

from components.monitoring.promises import Promises
from components.monitoring.rules.gateway import gateway_rules
from components.monitoring.rules.qdrant import qdrant_rules
from components.monitoring.rules.rag import rag_rules
from components.monitoring.rules.rule import Rules
from components.monitoring.rules.scraping import scraping_rules


def rule_groups(promises: Promises) -> dict[str, Rules]:
    """Return group name -> rules; in a group each alert sees the recordings above it fresh."""
    return {
        "qdrant": qdrant_rules(promises),
        "gateway": gateway_rules(promises),
        "rag": rag_rules(promises),
        "scraping": scraping_rules(),
    }


def rule_files(promises: Promises) -> dict[str, str]:
    """Return file name -> YAML, one file per group."""
    groups = {name: [rule.body() for rule in rules] for name, rules in rule_groups(promises).items()}
    return {
        f"{name}.yml": yaml.safe_dump({"groups": [{"name": name, "rules": rules}]}, sort_keys=False, width=1000)
        for name, rules in groups.items()
    }
