"""YAML for the files of a workload; libyaml writes it, many times as fast as Python would."""

from typing import Any

import yaml


def yaml_text(tree: Any, width: int = 80) -> str:
    """The tree as it is: its keys in their order, lines folded near `width`."""
    return str(yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False, width=width))
