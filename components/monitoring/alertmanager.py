"""Alertmanager: which alerts are sent, how soon, and which are inhibited by something worse."""

from collections.abc import Sequence
from typing import Any

from components.yaml_text import yaml_text

CONFIG_FILE = "/etc/alertmanager/alertmanager.yml"
PORT = 9093

# What follows from a page: (the page, the alerts that it inhibits).
FOLLOWS: Sequence[tuple[str, str]] = (
    (
        "QdrantNodeDown|QdrantQuorumLost",
        "QdrantReplicaDead|QdrantUnderReplicated|QdrantPeersMissing|QdrantConsensusLag",
    ),
    ("QdrantNodeDown|QdrantQuorumLost", "HAProxyServerDown|HAProxyServerFlaps|HAProxyRetries|QdrantOperationsPending"),
    ("QdrantQuorumLost", "QdrantNodeDown"),
    ("HAProxyNoServer|HAProxyDown", "CircuitBreakerOpen|HAProxyServerDown|RagIngestFails"),
    ("RagServiceDown", "KongTargetUnhealthy|KongNoTarget"),
    ("KongDown", "KongTargetHealthMissing"),
)


def alertmanager_config(*, webhook: str) -> str:
    """Return `alertmanager.yml`: pages at once and hourly, tickets gathered and daily, all to one webhook."""
    receivers = [
        {"name": severity, "webhook_configs": [{"url": webhook, "send_resolved": True}]}
        for severity in ("page", "ticket")
    ]
    route = {
        "receiver": "nobody",
        "group_by": ["alertname"],
        "routes": [
            _route("page", group_wait="10s", group_interval="1m", repeat_interval="1h"),
            _route("ticket", group_wait="5m", group_interval="15m", repeat_interval="24h"),
        ],
    }
    config = {"route": route, "receivers": [{"name": "nobody"}, *receivers], "inhibit_rules": _inhibitions()}
    return yaml_text(config, width=120)


def _route(severity: str, **pace: str) -> dict[str, Any]:
    return {"receiver": severity, "matchers": [f'severity="{severity}"'], **pace}


def _inhibitions() -> list[dict[str, Any]]:
    """What follows from something worse is not sent; the same alert never as a ticket beside its page."""
    named = [
        {"source_matchers": [f'alertname=~"{worse}"'], "target_matchers": [f'alertname=~"{then}"']}
        for worse, then in FOLLOWS
    ]
    fast = {
        "source_matchers": ['alertname=~".*BudgetBurnsFast"'],
        "target_matchers": ['alertname=~".*BudgetBurnsSlow"'],
        "equal": ["slo"],
    }
    return [*named, fast]
