"""YAML for the files of a workload; libyaml writes it, many times as fast as Python would."""

import re
from typing import Any

import yaml

# Numbers to YAML 1.2, which Qdrant and Kong read, and text to PyYAML, which therefore leaves them without quotes.
NEWER_NUMBERS = re.compile(r"[-+]?\.?\d[\d.]*[eE][-+]?\d+|0o[0-7]+")


def yaml_text(tree: Any, width: int = 80) -> str:
    """The tree as it is: its keys in their order, lines folded near `width`."""
    return str(yaml.dump(tree, Dumper=_Dumper, sort_keys=False, width=width))


class _Dumper(yaml.CSafeDumper):
    """Quotes text that another reader would take for a number."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "'" if NEWER_NUMBERS.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
