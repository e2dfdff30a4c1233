"""From a stack's settings to a platform: the only branch on where a stack runs."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from platforms.base import Platform
from platforms.kubernetes.settings import KubernetesSettings
from platforms.settings import FrozenSettings

ROOT = Path(__file__).resolve().parent.parent


class StackSettings(FrozenSettings):
    """Where the stack runs, and whether its data is protected."""

    platform: Literal["docker", "kubernetes"]
    name_prefix: str = Field(pattern=r"^[a-z][a-z0-9-]{0,20}$")
    protect_data: bool


def connect(stack: StackSettings, kubernetes: KubernetesSettings, disk_exporter_image: str) -> Platform:
    """The platform that the stack file names; of the two only that one's packages are loaded, which takes a while."""
    if stack.platform == "docker":
        from platforms.docker import DockerArgs, DockerPlatform

        return DockerPlatform(
            DockerArgs(
                prefix=stack.name_prefix,
                root=ROOT,
                disk_exporter_image=disk_exporter_image,
                protect_data=stack.protect_data,
            )
        )
    from platforms.kubernetes.platform import KubernetesArgs, KubernetesPlatform

    return KubernetesPlatform(
        KubernetesArgs(
            prefix=stack.name_prefix,
            settings=kubernetes,
            disk_exporter_image=disk_exporter_image,
            protect_data=stack.protect_data,
        )
    )
