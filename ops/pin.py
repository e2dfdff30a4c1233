"""Rewrite the images of a stack file: each with its digest, so that what was tested is what runs, or newer."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ops.registry import Reference, digest_of, tags_of
from ops.stack import OperatorError
from ops.whole_file import write_whole
from platforms.stack_file import PROJECT

TAG = re.compile(r"^(?P<before>v?)(?P<version>\d+(?:\.\d+)+)(?P<after>\D.*)?$")
OWN_LINE = ("library/python",)  # its tag names a line, `3.11`, and gets the patches of it by itself
EXAMPLE = ".example.com"  # nobody's registry: the name stands for one of your own
LINE = re.compile(rf"""^(?P<key>\s*["']?{PROJECT}:image\w+["']?:\s*["']?)(?P<image>[^\s#@"']+)(?P<rest>.*)$""")


def pin(stack_file: Path, digest: Callable[[Reference], str] = digest_of) -> list[str]:
    """Pin every image of the file that has a tag only; returns what was pinned. All of them, or the file stays."""
    return _rewritten(stack_file, lambda line, pinned: _pinned(line, digest, pinned))


def renew(stack_file: Path, tags: Callable[[Reference], list[str]] = tags_of) -> list[str]:
    """Write the newest patch of each image into the file, without a digest; returns what is newer."""
    return _rewritten(stack_file, lambda line, newer: _renewed(line, tags, newer))


def newest(tag: str, tags: Iterable[str], *, minor: bool) -> str:
    """The newest tag of the same form and line: patches only, or minor versions too; itself when there is none."""
    ours = TAG.match(tag)
    if not ours:
        return tag
    line = _version(ours)[: 1 if minor else -1]
    same = [
        each
        for each in filter(None, map(TAG.match, {*tags, tag}))
        if (each["before"], each["after"]) == (ours["before"], ours["after"])
        and len(_version(each)) == len(_version(ours))
        and _version(each)[: len(line)] == line
    ]
    return max(same, key=_version)[0]


def _version(tag: re.Match[str]) -> tuple[int, ...]:
    return tuple(int(part) for part in tag["version"].split("."))


def _rewritten(stack_file: Path, rewrite: Callable[[str, list[str]], str]) -> list[str]:
    changed: list[str] = []
    lines = [rewrite(line, changed) for line in stack_file.read_text().splitlines()]
    if changed:
        write_whole(stack_file, "\n".join(lines) + "\n")
    return changed


def _renewed(line: str, tags: Callable[[Reference], list[str]], newer: list[str]) -> str:
    found = LINE.match(line)
    reference = Reference.parse(found["image"] if found else "")
    if not found or not reference.tag or reference.repository in OWN_LINE or reference.registry.endswith(EXAMPLE):
        return line
    tag = newest(reference.tag, tags(reference), minor=found["image"].startswith("qdrant/qdrant:"))
    if tag == reference.tag:
        return line
    image = f"{found['image'].rpartition(':')[0]}:{tag}"
    newer.append(image)
    return f"{found['key']}{image}{re.sub(r'^@sha256:[0-9a-f]+', '', found['rest'])}"


def _pinned(line: str, digest: Callable[[Reference], str], pinned: list[str]) -> str:
    found = LINE.match(line)
    if not found or found["rest"].startswith("@"):
        return line
    reference = Reference.parse(found["image"])
    if not reference.tag:
        raise OperatorError(f"expected a tag, found {found['image']}; nothing was written")
    image = f"{found['image']}@{digest(reference)}"
    pinned.append(image)
    return f"{found['key']}{image}{found['rest']}"
