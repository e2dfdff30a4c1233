"""From settings to a platform: the only branch on where a stack runs."""

from pathlib import Path

import pulumi

from platforms.base import Platform
from platforms.docker import DockerArgs, DockerPlatform
from platforms.workload import ImageBuild
from settings import Settings

ROOT = Path(__file__).resolve().parent.parent


def connect(settings: Settings) -> Platform:
    """The platform that the stack file names."""
    if settings.stack.platform == "docker":
        return DockerPlatform(
            DockerArgs(prefix=settings.stack.name_prefix, root=ROOT, protect_data=settings.stack.protect_data)
        )
    raise pulumi.RunError("rag-platform:platform: expected docker, found kubernetes, which is not built yet")


def rag_image(settings: Settings) -> str | ImageBuild:
    """The RAG service's image: the one that is named, else built from its folder."""
    return settings.image.rag or ImageBuild(
        name="rag-platform/rag", context="services/rag", build_args={"BASE": settings.image.python}
    )
