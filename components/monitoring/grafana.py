"""Grafana: the datasource and dashboards it is provisioned with, and its settings."""

from components.monitoring.dashboards import DATASOURCE_UID, dashboard_files
from components.monitoring.promises import Promises
from components.yaml_text import yaml_text

PROVISIONING_DIR = "/etc/grafana/provisioning"
DASHBOARDS_DIR = "/etc/grafana/dashboards"


def datasource_yaml(prometheus_url: str, scrape_seconds: int) -> str:
    """Return the one datasource; its interval makes $__rate_interval four scrapes wide."""
    source = {"name": "Prometheus", "uid": DATASOURCE_UID, "type": "prometheus", "url": literal(prometheus_url)}
    settings = {"timeInterval": f"{scrape_seconds}s", "httpMethod": "POST"}
    fixed = {"access": "proxy", "isDefault": True, "editable": False, "jsonData": settings}
    return yaml_text({"apiVersion": 1, "datasources": [{**source, **fixed}]})


def literal(text: str) -> str:
    """The text as a value of a provisioning file, in which Grafana replaces `$NAME`."""
    return text.replace("$", "$$")


def provider_yaml() -> str:
    """Return the provider that reads dashboards from files, which stay the only place to change them."""
    source = {"name": "rag-platform", "folder": "RAG platform", "type": "file", "options": {"path": DASHBOARDS_DIR}}
    fixed = {"disableDeletion": True, "allowUiUpdates": False}
    return yaml_text({"apiVersion": 1, "providers": [{**source, **fixed}]})


def grafana_files(prometheus_url: str, promises: Promises) -> dict[str, str]:
    """Return path -> content of all that Grafana is provisioned with."""
    return {
        f"{PROVISIONING_DIR}/datasources/prometheus.yml": datasource_yaml(prometheus_url, promises.scrape_seconds),
        f"{PROVISIONING_DIR}/dashboards/rag-platform.yml": provider_yaml(),
        **{f"{DASHBOARDS_DIR}/{name}": content for name, content in dashboard_files(promises).items()},
    }


def grafana_env(*, root_url: str, admin_password_file: str) -> dict[str, str]:
    """Return the settings: the overview as home page, no sign-up, and no call to the vendor from a private machine."""
    calls_home = ("REPORTING_ENABLED", "CHECK_FOR_UPDATES", "CHECK_FOR_PLUGIN_UPDATES", "FEEDBACK_LINKS_ENABLED")
    return {
        "GF_SERVER_ROOT_URL": root_url,
        "GF_SECURITY_ADMIN_PASSWORD__FILE": admin_password_file,
        "GF_SECURITY_DISABLE_GRAVATAR": "true",
        "GF_USERS_ALLOW_SIGN_UP": "false",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{DASHBOARDS_DIR}/rag-overview.json",
        "GF_NEWS_NEWS_FEED_ENABLED": "false",
        # Grafana 12 downloads app plugins at each start unless that is disabled.
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
        **{f"GF_ANALYTICS_{setting}": "false" for setting in calls_home},
    }
