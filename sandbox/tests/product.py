"""What the product renders, asked of a process of its own: the sandbox imports nothing of the product."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PLUGINS = """
from components.gateway.plugins import *
traces = OpenTelemetry(traces_endpoint=%r)
ours = Jwt(), Acl(allow=('staff',)), RateLimiting(minute=1), RequestSizeLimiting(), Cors(), RequestTransformer()
ours += Prometheus(), traces
found = {plugin.name: plugin.config() for plugin in ours}
"""
ADMIN = """
from components.gateway import node, references
found = {"file": references.fill(node.ADMIN_GUARD, {"admin-token": %r})}
"""
GRAFANA = """
from components.monitoring import grafana
found = grafana.grafana_files(%r, grafana.Promises())
"""
# A number comes from the engine as a float, which Kubernetes takes for none of its own.
MANIFESTS = """
from tests.program.engine import run_program
from tests.program.test_prod_stack import manifests
def whole(value):
    if isinstance(value, dict): return {key: whole(each) for key, each in value.items()}
    if isinstance(value, list): return [whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
found = {"all": [whole(each) for each in manifests(run_program("prod"))]}
"""


@cache
def manifests() -> list[dict[str, Any]]:
    """Every object of the prod stack, as the cluster is sent it."""
    found: list[dict[str, Any]] = _evaluated(MANIFESTS)["all"]
    return found


@cache
def gateway_yaml(stack: str) -> str:
    """The gateway of a stack file, as `make gateway-yaml` prints it."""
    return _output("-m", "cli.gateway_yaml", "--stack", stack)


@cache
def plugin_configs(traces_endpoint: str) -> dict[str, Any]:
    """The configuration of each typed gateway plugin, by name, with every field it has."""
    return _evaluated(PLUGINS % traces_endpoint)


def admin_guard(token: str) -> str:
    """What nginx is given to do before the Admin API."""
    return str(_evaluated(ADMIN % token)["file"])


@cache
def grafana_files(prometheus_url: str) -> dict[str, str]:
    """Path to content of all that Grafana is provisioned with."""
    return _evaluated(GRAFANA % prometheus_url)


def _evaluated(code: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_output("-c", f"import json{code}print(json.dumps(found))"))
    return found


def _output(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout
