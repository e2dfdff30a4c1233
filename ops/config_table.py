"""The table of configuration keys in docs/configuration.md, made from Pulumi.yaml so that it cannot go stale."""

import json
from typing import Any

import yaml

from ops.paths import ROOT
from platforms.stack_file import PROJECT


def config_table() -> str:
    """Markdown: a row for each key."""
    declared: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    rows = [
        f"| `{key.removeprefix(f'{PROJECT}:')}` | {entry['type']} | {_default(entry)} | {entry['description']} |"
        for key, entry in declared.items()
    ]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])


def _default(entry: dict[str, Any]) -> str:
    if "default" not in entry:
        return "must be set"
    default = entry["default"]
    return f"`{default if isinstance(default, str) else json.dumps(default)}`" if default != "" else ""


if __name__ == "__main__":
    print(config_table())
