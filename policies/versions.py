"""The version in an image's reference: parsed here, for settings, policies and the review alike."""

import re
from dataclasses import dataclass

MOVED = {
    *("latest", "stable", "edge", "nightly", "master", "main", "dev", "develop", "rolling", "unstable", "canary"),
    *("head", "lts", "mainline", "testing", "snapshot"),
}
VERSION = re.compile(r"v?(?P<numbers>\d{1,5}(?:\.\d{1,5})*)(?P<suffix>[-_+].*)?")
EARLY = re.compile(r"[-_+.]?(rc|alpha|beta|pre|dev|snapshot|nightly)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ImageReference:
    """`registry:port/path/name:tag@digest`, of which all but the name may be missing."""

    name: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, reference: str) -> "ImageReference":
        """Any text has these parts; a port of the registry is none of the tag."""
        located, _, digest = reference.strip().partition("@")
        name, _, tag = located.rpartition("/")[2].partition(":")
        return cls(name=name.lower(), tag=tag, digest=digest)

    @property
    def version(self) -> tuple[int, ...] | None:
        """The numbers of the tag, as many as it has: `v1.16-gpu-nvidia` is (1, 16); None for a name or a hash."""
        found = VERSION.fullmatch(self.tag)
        return tuple(map(int, found["numbers"].split("."))) if found else None

    @property
    def moves(self) -> bool:
        """The tag is missing, or is one that is moved on purpose, with a digest or without."""
        return not self.tag or (self.version is None and bool(MOVED & set(re.split(r"[-_.+]", self.tag.lower()))))

    def reaches(self, oldest: tuple[int, ...]) -> bool:
        """The version is `oldest` or later for certain: one with fewer numbers may be any of those it stands for."""
        found = VERSION.fullmatch(self.tag)
        if not found or self.version is None or len(self.version) < len(oldest):
            return False
        early = bool(EARLY.match(found["suffix"] or ""))
        return self.version > oldest if early else self.version >= oldest
