"""What an engine's error means to an operator: one sentence where we know it, else the engine's own words."""

import re
from collections.abc import Iterable

# (what the engine or a plugin says, what it means and what to do)
KNOWN = (
    (
        r"[Pp]od[ /\[]*(?P<pod>[\w./-]+)[^\n]*?"
        r"(?:ErrImagePull|ImagePullBackOff|Back-off pulling image|Failed to pull image)[^\n]*",
        "pod {pod} finds its image nowhere; mend the image in the stack file, or give the cluster access to its "
        "registry (rag-platform:kubernetesPullSecret, kubernetesRegistryMirror)",
    ),
    (
        r"(?P<said>\d+/\d+ nodes are available: [^\n]*)",
        "a pod finds no machine: {said} Add machines or room, or ask for less in the stack file",
    ),
    (
        r"(?P<said>\S+ is forbidden: [^\n]*)",
        "the cluster refuses: {said}; ask its owner for the right, or use another rag-platform:kubernetesNamespace",
    ),
    (
        r"configured Kubernetes cluster is unreachable: (?P<said>[^\n]*)",
        "expected a cluster that answers, found: {said}; see that it runs, and which context the kubeconfig names",
    ),
    (
        r"unable to pull image (?P<image>\S+?): ",
        "expected image {image} on this machine or in its registry, found it in neither; mend its reference in the "
        "stack file, or load the image",
    ),
    (
        r"dial tcp (?P<address>[\d.]+:\d+): connect: connection refused",
        "expected an answer at {address}, found nobody there; look at that container's log with docker logs",
    ),
    (
        r"Cannot connect to the Docker daemon at (?P<address>\S+?)\.",
        "expected a Docker engine at {address}, found none that answers; start it",
    ),
)
OWN = "expected "  # how this project's own providers begin, which name the object and say what to do
NOISE = re.compile(r"^(update failed|preview failed|\d+ errors? occurred:|\s*)$")
TRACEBACK = re.compile(
    r"Traceback \(most recent call last\):.*^(?:[\w.]+\.)?(?P<error>\w+): ", re.DOTALL | re.MULTILINE
)


def plain(errors: Iterable[str]) -> list[str]:
    """Each reason once, without tracebacks and without the engine's closing remarks."""
    reasons = (_plain(error) for error in errors)
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _plain(error: str) -> str:
    without = TRACEBACK.sub("", error)
    said = "\n".join(line for line in without.splitlines() if not NOISE.match(line)).strip()
    if said.startswith(OWN):
        return said
    for pattern, sentence in KNOWN:
        if found := re.search(pattern, error):
            return sentence.format(**found.groupdict())
    return said
