"""Prints docs/policies.md: every rule with its reason, how to satisfy it, and what can be chosen about it."""

import json
from collections.abc import Iterator
from pathlib import Path

from policies import catalogue
from policies.reliability.transition_rules import TRANSITIONS
from policies.rule import Rule

CONFIG = Path(__file__).parent / "config"
INTRODUCTION = """\
# Policies

Written by `python -m policies.document`; a test compares it with the packs.

Each rule is named for the good state. It looks at what the components declare, so that it is decided at preview and
covers Docker and Kubernetes alike, and at containers and manifests only for what a component cannot know. `make up` and
`make preview` run all rules in one process; any program that uses the components can run them, or one pack of them:

```
pulumi preview --policy-pack policies --policy-pack-config policies/config/prod.json
pulumi preview --policy-pack policies/security
```

**Exceptions** stand in the stack file, with a reason and a last day, and are listed in every preview. `resource` is the
name that the violation begins with, with wildcards. After that day the exception excuses nothing and is itself a
violation:

```yaml
config:
  rag-platform:policyExceptions:
    - rule: containers-are-unprivileged
      resource: gpu-0
      reason: the driver of this card needs the machine's devices
      expires: "2027-06-30"
```

**Settings** are chosen with `--policy-pack-config`, as in `policies/config/prod.json`; `make preview STACK=x` takes
`policies/config/x.json`. `"enforcementLevel": "advisory"` there makes advice of a rule.
"""
STEPS = """\
## Steps

Rules that need the state before, which the engine shows to no pack. `make preview` and `make up` enforce them; a plain
`pulumi preview --policy-pack` cannot.
"""


def document() -> str:
    """The whole page."""
    lines = [INTRODUCTION]
    for pack in catalogue.PACKS:
        lines += [f"## {pack.title}\n", f"The pack `policies/{pack.name}`.\n"]
        lines += [line for rule in pack.rules for line in _section(rule)]
    lines += [STEPS, *(line for rule in TRANSITIONS for line in _section(rule))]
    return "\n".join(lines)


def _section(rule: Rule) -> Iterator[str]:
    yield f"### {rule.name}\n\n{rule.promise}\n"
    yield f"- Why: {rule.reason}"
    yield f"- How: {rule.remedy}"
    if rule.level == "remediate":
        yield "- Mended by the pack itself where possible, which the preview shows."
    chosen = json.loads((CONFIG / "prod.json").read_text()).get(rule.name, {})
    for name, setting in rule.settings.items():
        text = f"- Setting `{name}`: {setting.meaning}; default `{json.dumps(setting.default)}`"
        yield text + (f", in prod `{json.dumps(chosen[name])}`" if name in chosen else "")
    yield ""


if __name__ == "__main__":
    print(document(), end="")
