"""Recording rules and alerts as code, one file per subject."""

from components.monitoring.promises import Promises
from components.monitoring.rules.disks import disk_rules
from components.monitoring.rules.edge import edge_rules
from components.monitoring.rules.gateway import gateway_rules
from components.monitoring.rules.haproxy import haproxy_rules
from components.monitoring.rules.pace import at_pace
from components.monitoring.rules.qdrant import qdrant_rules
from components.monitoring.rules.qdrant_work import qdrant_work_rules
from components.monitoring.rules.rag import rag_rules
from components.monitoring.rules.rule import Rules
from components.monitoring.rules.scraping import prometheus_rules, scraping_rules
from components.monitoring.rules.slo import slo_rules
from components.monitoring.rules.stores import postgres_rules, valkey_rules
from components.yaml_text import yaml_text

OF_PROMETHEUS = "prometheus-itself"  # the group about the Prometheus that judges the others


def rule_groups(promises: Promises) -> dict[str, Rules]:
    """Return group name -> rules; in a group each alert sees the recordings above it fresh."""
    groups = {
        "qdrant": qdrant_rules(promises),
        "qdrant-work": qdrant_work_rules(promises),
        "disks": disk_rules(),
        "edge": edge_rules(),
        "gateway": gateway_rules(promises),
        "haproxy": haproxy_rules(),
        **({"rag": rag_rules(promises)} if promises.own_jobs != promises.service_jobs else {}),
        "postgres": postgres_rules(),
        "valkey": valkey_rules(),
        "scraping": scraping_rules(promises),
        OF_PROMETHEUS: prometheus_rules(),
        "slo": slo_rules(promises),
    }
    return {name: at_pace(rules, promises.scrape_seconds) for name, rules in groups.items()}


def rule_files(promises: Promises) -> dict[str, str]:
    """Return file name -> YAML, one file per group."""
    groups = {name: [rule.body() for rule in rules] for name, rules in rule_groups(promises).items()}
    return {
        f"{name}.yml": yaml_text({"groups": [{"name": name, "rules": rules}]}, width=1000)
        for name, rules in groups.items()
    }
