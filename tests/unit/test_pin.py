"""Digests come from the registry, all of them or none, and what is pinned stays as it is."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from ops.pin import newest, pin, renew
from ops.registry import Reference, digest_of, tags_of
from ops.stack import OperatorError

DIGEST = f"sha256:{'a' * 64}"
FILE = """config:
  rag-platform:namePrefix: rag-prod
  rag-platform:imageKong: kong:3.9.3  # the last of its line
  rag-platform:imageHaproxy: haproxy:3.2.21@sha256:0000
  "rag-platform:imageGrafana": 'grafana/grafana:12.1.0'
  rag-platform:imageRag: ""
"""


class Registry(BaseHTTPRequestHandler):
    """Wants a token, and knows one image."""

    def do_HEAD(self) -> None:
        if self.headers.get("Authorization") != "Bearer anonymous":
            self.send_response(401)
            host = self.headers["Host"]
            self.send_header("WWW-Authenticate", f'Bearer realm="http://{host}/token",service="r",scope="s"')
        elif self.path == "/v2/team/rag/manifests/1.0":
            self.send_response(200)
            self.send_header("Docker-Content-Digest", DIGEST)
        else:
            self.send_response(404)
        self.end_headers()

    def do_GET(self) -> None:
        body = b'{"token": "anonymous"}'
        if "/tags/list" in self.path:
            if self.headers.get("Authorization") != "Bearer anonymous":
                return self.do_HEAD()
            page = "last" in self.path
            body = b'{"tags": ["1.1"]}' if page else b'{"tags": ["1.0"]}'
        self.send_response(200)
        if body == b'{"tags": ["1.0"]}':
            self.send_header("Link", '</v2/team/rag/tags/list?last=1.0>; rel="next"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def registry() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.mark.parametrize(
    ("text", "registry", "repository"),
    [
        ("kong:3.9.3", "registry-1.docker.io", "library/kong"),
        ("qdrant/qdrant:v1", "registry-1.docker.io", "qdrant/qdrant"),
        ("docker.io/kong:3.9.3", "registry-1.docker.io", "library/kong"),
        ("quay.io/a/b:1", "quay.io", "a/b"),
        ("localhost:5000/rag:1", "localhost:5000", "rag"),
    ],
)
def test_a_reference_says_where_an_image_is(text: str, registry: str, repository: str) -> None:
    found = Reference.parse(text)
    assert (found.registry, found.repository) == (registry, repository)
    assert found.tag


def test_a_registry_that_wants_a_token_gets_one(registry: str) -> None:
    assert digest_of(Reference.parse(f"{registry}/team/rag:1.0"), scheme="http") == DIGEST


def test_an_image_that_nobody_has_is_an_error_with_its_name(registry: str) -> None:
    with pytest.raises(OperatorError, match=r"to know team/rag:2\.0, found HTTP 404"):
        digest_of(Reference.parse(f"{registry}/team/rag:2.0"), scheme="http")


def test_only_what_has_no_digest_gets_one_and_all_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(FILE)
    images = ("kong:3.9.3", "grafana/grafana:12.1.0")
    assert pin(file, lambda _: DIGEST) == [f"{image}@{DIGEST}" for image in images]
    wanted = FILE
    for image in images:
        wanted = wanted.replace(image, f"{image}@{DIGEST}")
    assert file.read_text() == wanted
    assert pin(file, lambda _: DIGEST) == []


def test_an_image_without_a_tag_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text("config:\n  rag-platform:imageKong: kong\n")
    with pytest.raises(OperatorError, match="expected a tag, found kong"):
        pin(file, lambda _: DIGEST)


def test_one_image_that_is_not_found_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(FILE)

    def nobody(_: Reference) -> str:
        raise OperatorError("no such image")

    with pytest.raises(OperatorError):
        pin(file, nobody)
    assert file.read_text() == FILE


def test_all_pages_of_tags_are_read(registry: str) -> None:
    assert tags_of(Reference.parse(f"{registry}/team/rag:1.0"), scheme="http") == ["1.0", "1.1"]


TAGS = ["latest", "v1.19.2", "v1.19.10", "v1.20.0", "v1.21.0-rc1", "v2.0.0", "1.19.99", "v1.19.3-gpu", "v1.19"]


@pytest.mark.parametrize(
    ("tag", "minor", "found"),
    [
        ("v1.19.2", False, "v1.19.10"),
        ("v1.19.2", True, "v1.20.0"),
        ("v1.19.2-gpu", False, "v1.19.3-gpu"),
        ("v3.0.0", True, "v3.0.0"),
        ("bookworm", False, "bookworm"),
    ],
)
def test_the_newest_of_a_line_has_the_same_form(tag: str, minor: bool, found: str) -> None:
    assert newest(tag, TAGS, minor=minor) == found


def test_what_is_newer_is_written_without_the_old_digest_and_lines_stay(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.prod.yaml"
    stays = "  rag-platform:imagePython: python:3.11-slim\n  rag-platform:imageRag: registry.example.com/rag:0.1.0\n"
    file.write_text(FILE + stays + "  rag-platform:imageQdrant: qdrant/qdrant:v1.19.2\n")
    known = {"library/kong": ["3.10.0"], "library/haproxy": ["3.2.25"], "qdrant/qdrant": TAGS, "grafana/grafana": []}
    newer = renew(file, lambda reference: known[reference.repository])
    assert newer == ["haproxy:3.2.25", "qdrant/qdrant:v1.20.0"]
    assert file.read_text().startswith(FILE.replace("haproxy:3.2.21@sha256:0000", "haproxy:3.2.25") + stays)
