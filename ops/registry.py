"""What a registry has of an image, digests and tags, by the registry's own HTTP API."""

import re
from contextlib import suppress
from dataclasses import dataclass

import requests

from ops.stack import OperatorError

HUB = "registry-1.docker.io"
TIMEOUT_SECONDS = 20
SOON_SECONDS = 3
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
    answer = _answer("HEAD", reference, f"manifests/{reference.tag}", scheme)
    digest = answer.headers.get("Docker-Content-Digest", "")
    if answer.status_code != 200 or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise OperatorError(
            f"expected {reference.registry} to know {reference.repository}:{reference.tag}, found HTTP "
            f"{answer.status_code}; mend the reference, or, where it wants a password, write the digest behind the "
            "tag yourself: docker push printed it"
        )
    return digest


def tags_of(reference: Reference, scheme: str = "https") -> list[str]:
    """Every tag that the registry has of the image; OperatorError when it does not say."""
    tags: list[str] = []
    rest = "tags/list"
    while rest:
        answer = _answer("GET", reference, rest, scheme)
        if answer.status_code != 200:
            raise OperatorError(
                f"expected {reference.registry} to list the tags of {reference.repository}, found HTTP "
                f"{answer.status_code}; mend the reference"
            )
        tags += answer.json().get("tags") or []
        rest = answer.links.get("next", {}).get("url", "").partition(f"/{reference.repository}/")[2]
    return tags


def answers(url: str) -> bool:
    """Whether anything answers there in time, also with a refusal."""
    with suppress(requests.RequestException):
        requests.head(url, timeout=SOON_SECONDS)
        return True
    return False


def _answer(method: str, reference: Reference, rest: str, scheme: str) -> requests.Response:
    """What the registry says of the image, with the token of an anonymous caller where it wants one."""
    url = f"{scheme}://{reference.registry}/v2/{reference.repository}/{rest}"
    headers = {"Accept": KINDS}
    try:
        answer = requests.request(method, url, headers=headers, timeout=TIMEOUT_SECONDS)
        if answer.status_code == 401:
            headers["Authorization"] = f"Bearer {_token(answer.headers.get('WWW-Authenticate', ''))}"
            answer = requests.request(method, url, headers=headers, timeout=TIMEOUT_SECONDS)
    except requests.RequestException as error:
        raise OperatorError(f"expected an answer of {reference.registry}, found {type(error).__name__}") from error
    return answer


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
