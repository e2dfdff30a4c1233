"""What an engine's error means to an operator: one sentence where its meaning is known, else the engine's own text."""

import re
from collections.abc import Iterable

# (pattern of an error of the engine or a plugin, the diagnosis with what to do)
KNOWN = (
    (
        r"[Pp]od[ /\[]*(?P<pod>[\w./-]+)[^\n]*?"
        r"(?:ErrImagePull|ImagePullBackOff|Back-off pulling image|Failed to pull image)[^\n]*",
        "expected the image of pod {pod} in a registry, found it in none; mend the image in the stack file, or give "
        "the cluster access to its registry (rag-platform:kubernetesPullSecret, kubernetesRegistryMirror)",
    ),
    (
        r"(?P<text>\d+/\d+ nodes are available: [^\n]*)",
        "expected a machine for the pod, found none: {text} Add machines or room, or ask for less in the stack file",
    ),
    (
        r"(?P<text>\S+ is forbidden: [^\n]*)",
        "expected to be allowed, found: {text}; ask the cluster's owner for the right, or use another "
        "rag-platform:kubernetesNamespace",
    ),
    (
        r"configured Kubernetes cluster is unreachable: (?P<text>[^\n]*)",
        "expected a cluster that answers, found: {text}; see that it runs, and which context the kubeconfig names",
    ),
    (
        r"unable to pull image (?P<image>\S+?): ",
        "expected image {image} on this machine or in its registry, found it in neither; mend its reference in the "
        "stack file, or load the image",
    ),
    (
        r"dial tcp (?P<address>[\d.]+:\d+): connect: connection refused",
        "expected an answer at {address}, found none; read that container's log with docker logs",
    ),
    (
        r"Cannot connect to the Docker daemon at (?P<address>\S+?)\.",
        "expected a Docker engine at {address}, found none that answers; start it",
    ),
)
OWN = "expected "  # errors of this project's own providers begin so; they name the object and what to do
NOISE = re.compile(r"^(update failed|preview failed|\d+ errors? occurred:|\s*)$")
TRACEBACK = re.compile(
    r"Traceback \(most recent call last\):.*^(?:[\w.]+\.)?(?P<error>\w+): ", re.DOTALL | re.MULTILINE
)


def diagnosis(errors: Iterable[str]) -> list[str]:
    """One sentence for each distinct error, without tracebacks and without the engine's closing lines."""
    return list(dict.fromkeys(filter(None, map(_diagnosis, errors))))


def _diagnosis(error: str) -> str:
    without = TRACEBACK.sub("", error)
    own_text = "\n".join(line for line in without.splitlines() if not NOISE.match(line)).strip()
    if own_text.startswith(OWN):
        return own_text
    for pattern, sentence in KNOWN:
        if found := re.search(pattern, error):
            return sentence.format(**found.groupdict())
    return own_text
