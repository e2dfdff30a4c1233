"""Alertmanager: which alerts are sent, how soon, and which are inhibited by something worse."""

from collections.abc import Sequence
from typing import Any

from components.monitoring.settings import ObservabilitySettings
from components.yaml_text import yaml_text
from platforms.workload import port_of

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
PAGERDUTY_SEVERITY = {"page": "critical", "ticket": "warning"}
SLACK_TEXT = "{{ range .Alerts }}{{ .Annotations.description }} {{ .Annotations.runbook_url }}\n{{ end }}"


def alertmanager_config(settings: ObservabilitySettings) -> str:
    """Return `alertmanager.yml`: pages at once and hourly, tickets gathered and daily, all to every receiver.

    The alert Watchdog goes to a URL of its own every minute, where there is one: what listens there raises the alarm
    when it stops. URLs, key and password are credentials, and so the file is a secret.
    """
    receivers = [{"name": severity, **_channels(severity, settings)} for severity in PAGERDUTY_SEVERITY]
    route = {
        "receiver": UNSENT,
        "group_by": ["alertname"],
        "routes": [
            _route("page", group_wait="10s", group_interval="1m", repeat_interval="1h"),
            _route("ticket", group_wait="5m", group_interval="15m", repeat_interval="24h"),
            *([_watchdog_route()] if settings.alert_watchdog_url else []),
        ],
    }
    if url := settings.alert_watchdog_url:
        receivers.append({"name": WATCHDOG, "webhook_configs": [{"url": url, "send_resolved": False}]})
    config = {"route": route, "receivers": [{"name": UNSENT}, *receivers], "inhibit_rules": _inhibitions()}
    return yaml_text(config, width=120)


def ports(settings: ObservabilitySettings) -> tuple[int, ...]:
    """The ports outside that alerts leave to."""
    urls = (settings.alert_webhook, settings.alert_slack_url, settings.alert_watchdog_url)
    found = {port for url in urls for port in port_of(url)}
    found |= {443} if settings.alert_pagerduty_key else set()
    found |= {int(settings.alert_mail_server.rpartition(":")[2])} if settings.alert_mail_to else set()
    return tuple(sorted(found))


def _channels(severity: str, settings: ObservabilitySettings) -> dict[str, Any]:
    """Kind of receiver -> its configuration, for each that the stack file names."""
    slack = {
        "api_url": settings.alert_slack_url,
        "title": "{{ .Status }}: {{ .CommonAnnotations.summary }}",
        "text": SLACK_TEXT,
    }
    pagerduty = {"routing_key": settings.alert_pagerduty_key, "severity": PAGERDUTY_SEVERITY[severity]}
    mail = {
        "to": ", ".join(settings.alert_mail_to),
        "from": settings.alert_mail_from,
        "smarthost": settings.alert_mail_server,  # TLS is demanded, by default
    }
    if settings.alert_mail_user:
        mail |= {"auth_username": settings.alert_mail_user, "auth_password": settings.alert_mail_password}
    wanted = {
        "webhook_configs": {"url": settings.alert_webhook} if settings.alert_webhook else None,
        "slack_configs": slack if settings.alert_slack_url else None,
        "pagerduty_configs": pagerduty if settings.alert_pagerduty_key else None,
        "email_configs": mail if settings.alert_mail_to else None,
    }
    return {kind: [{**config, "send_resolved": True}] for kind, config in wanted.items() if config}


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
