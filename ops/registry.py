"""What digest a registry has for an image's tag, by the registry's own HTTP API."""

import re
from dataclasses import dataclass

import requests

from ops.stack import OperatorError

HUB = "registry-1.docker.io"
TIMEOUT_SECONDS = 20
# An index of several platforms where there is one, so that one digest fits every machine.
KINDS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An image by its tag: where it is, what it is called there."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """`host/path:tag` or, of Docker Hub, `path:tag`; without a digest."""
        head, _, rest = text.partition("/")
        own = bool(rest) and ("." in head or ":" in head or head == "localhost")
        registry, path = (head, rest) if own else ("docker.io", text)
        repository, _, tag = path.partition(":")
        if registry == "docker.io":
            registry = HUB
            repository = repository if "/" in repository else f"library/{repository}"
        return cls(registry=registry, repository=repository, tag=tag)


def digest_of(reference: Reference, scheme: str = "https") -> str:
    """`sha256:…` of the tag as it is now; OperatorError when the registry does not say."""
    url = f"{scheme}://{reference.registry}/v2/{reference.repository}/manifests/{reference.tag}"
    headers = {"Accept": KINDS}
    try:
        answer = requests.head(url, headers=headers, timeout=TIMEOUT_SECONDS)
        if answer.status_code == 401:
            headers["Authorization"] = f"Bearer {_token(answer.headers.get('WWW-Authenticate', ''))}"
            answer = requests.head(url, headers=headers, timeout=TIMEOUT_SECONDS)
    except requests.RequestException as error:
        raise OperatorError(f"expected an answer of {reference.registry}, found {type(error).__name__}") from error
    digest = answer.headers.get("Docker-Content-Digest", "")
    if answer.status_code != 200 or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise OperatorError(
            f"expected {reference.registry} to know {reference.repository}:{reference.tag}, found HTTP "
            f"{answer.status_code}; mend the reference, or, where it wants a password, write the digest behind the "
            "tag yourself: docker push printed it"
        )
    return digest


def _token(challenge: str) -> str:
    """The token that the registry's challenge asks an anonymous caller to fetch."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if "realm" not in asked:
        raise OperatorError("expected the registry to say where its tokens are had, found no challenge of that kind")
    realm = asked.pop("realm")
    answer = requests.get(realm, params=asked, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    found = answer.json()
    return str(found.get("token") or found.get("access_token"))
