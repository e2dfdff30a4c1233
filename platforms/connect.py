"""From a stack's settings to a platform: the only branch on where a stack runs."""

from pathlib import Path
from typing import Literal

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from platforms.base import Platform
from platforms.docker import DockerArgs, DockerPlatform

ROOT = Path(__file__).resolve().parent.parent


class StackSettings(BaseModel):
    """Where the stack runs, and how careful it is with what it holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    platform: Literal["docker", "kubernetes"]
    name_prefix: str = Field(pattern=r"^[a-z][a-z0-9-]{0,20}$")
    protect_data: bool


def connect(stack: StackSettings) -> Platform:
    """The platform that the stack file names."""
    if stack.platform == "docker":
        return DockerPlatform(DockerArgs(prefix=stack.name_prefix, root=ROOT, protect_data=stack.protect_data))
    raise pulumi.RunError("rag-platform:platform: expected docker, found kubernetes, which is not built yet")
