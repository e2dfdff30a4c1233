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


UNSENT = "unsent"  # the receiver of what is sent nowhere
WATCHDOG = "watchdog"


def alertmanager_config(*, webhook: str, watchdog_url: str = "") -> str:
    """Return `alertmanager.yml`: pages at once and hourly, tickets gathered and daily, all to one webhook.

    The alert Watchdog goes to a URL of its own every minute, where there is one: what listens there raises the alarm
    when it stops. The URLs are credentials, and so the file is a secret.
    """
    receivers = [
        {"name": severity, "webhook_configs": [{"url": webhook, "send_resolved": True}]}
        for severity in ("page", "ticket")
    ]
    route = {
        "receiver": UNSENT,
        "group_by": ["alertname"],
        "routes": [
            _route("page", group_wait="10s", group_interval="1m", repeat_interval="1h"),
            _route("ticket", group_wait="5m", group_interval="15m", repeat_interval="24h"),
            *([_watchdog_route()] if watchdog_url else []),
        ],
    }
    if watchdog_url:
        receivers.append({"name": WATCHDOG, "webhook_configs": [{"url": watchdog_url, "send_resolved": False}]})
    config = {"route": route, "receivers": [{"name": UNSENT}, *receivers], "inhibit_rules": _inhibitions()}
    return yaml_text(config, width=120)


def _route(severity: str, **pace: str) -> dict[str, Any]:
    return {"receiver": severity, "matchers": [f'severity="{severity}"'], **pace}


def _watchdog_route() -> dict[str, Any]:
    pace = {"group_wait": "0s", "group_interval": "30s", "repeat_interval": "1m"}
    return {"receiver": WATCHDOG, "matchers": ['alertname="Watchdog"'], **pace}


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
