"""Where a secret never stands in plain text."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policies.declared import COMPONENTS, CONTAINER, PODS, containers, environment, items, workloads
from policies.rule import Subject, Violation, Violations, rule

CONFIG_MAP = ("kubernetes:core/v1:ConfigMap",)
NAMED_SO = re.compile(r"(password|passwd|secret|token|api[-_]?key|private[-_]?key)s?$", re.IGNORECASE)
LOOKS_SO = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\."  # a JWT
    r"|\b(AKIA|ghp_|github_pat_|glpat-|xox[bp]-)[A-Za-z0-9_-]{10,}"
    r"|[a-z][a-z0-9+]*://[^/\s:@]+:[^/\s:@$]+@"  # a URL with a password
)
PAIR = re.compile(r"^-{0,2}(?P<name>[A-Za-z][\w-]*)\s*[:=]\s*(?P<value>\S.*)$", re.DOTALL)
# A reference, a path, a switch or a number is no secret.
HARMLESS = re.compile(r"^(\$\{[\w.-]+\}|\{vault://.*\}|/[\w./-]+|true|false|\d{0,6})$", re.IGNORECASE)


@rule(
    on=(*COMPONENTS, *CONTAINER, *PODS, *CONFIG_MAP),
    reason="Inputs stand in the state, environment and arguments in `docker inspect` and `kubectl describe`: more "
    "people read those than may know a secret.",
    remedy="Give a secret in `secret_files` of the workload (a Secret that is mounted, on Kubernetes), and name the "
    "file: `…_FILE`. In the gateway's description write `reference('its-name')`.",
)
def secrets_stay_out_of_sight(subject: Subject) -> Violations:
    """No input, environment, argument, label or ConfigMap holds a secret in plain text."""
    for name, workload in workloads(subject):
        for variable in items(workload.get("secret_env")):
            yield Violation(subject.at(f"{name}.secret_env.{variable}"), "stands in the environment; give it as a file")
    for path, value in _visible(subject):
        if reason := betrays(path[-1] if path else "", value):
            yield Violation(subject.at(".".join(path)), f"{reason}; write it into a secret file and name the file")


def betrays(name: str, value: str) -> str:
    """Why this text, under this name, is taken for a secret; empty when it is not."""
    if LOOKS_SO.search(value):
        return "it holds what looks like a key, a token or a URL with a password"
    if NAMED_SO.search(name) and not HARMLESS.match(value):
        return f"{name} is given in plain text"
    pair = PAIR.match(value)
    if pair and NAMED_SO.search(pair["name"]) and not HARMLESS.match(pair["value"]):
        return f"{pair['name']} is given in plain text"
    return ""


def _visible(subject: Subject) -> Iterator[tuple[tuple[str, ...], str]]:
    """Path and text of everything that is open to be read; a Docker container's files are not."""
    if subject.type in CONTAINER:
        yield from ((("env", name), value) for name, value in environment(subject.inputs).items())
        yield from _texts({key: subject.inputs.get(key) for key in ("command", "entrypoints", "labels")})
    elif subject.type in PODS:
        for _, container in containers(subject):
            at = str(container.get("name", ""))
            yield from (((at, "env", name), value) for name, value in environment(container).items())
            yield from _texts({at: {key: container.get(key) for key in ("command", "args")}})
    else:
        yield from _texts(subject.inputs)


def _texts(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(tree, str):
        yield path, tree
    elif isinstance(tree, Mapping):
        for key, branch in tree.items():
            yield from _texts(branch, (*path, str(key)))
    elif isinstance(tree, Sequence):
        for branch in tree:
            yield from _texts(branch, path)
