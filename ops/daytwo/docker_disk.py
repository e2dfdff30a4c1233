"""One node's container and volume on the local Docker engine: diagnosed, given up, started."""

import io
import re
import tarfile
from dataclasses import dataclass
from typing import Any, ClassVar

from docker import DockerClient
from docker.errors import NotFound

from access.docker_engine import LABEL, run_to_end
from ops.stack import OperatorError

STORAGE = "/qdrant/storage"
MEMBER = re.compile(rb'"term":\s*[1-9]')  # as in components/qdrant/start_node.sh: it has been part of a cluster
RESTARTS = 3  # of a node that does not answer after them: its disk is unusable


@dataclass(frozen=True, kw_only=True)
class DockerDisk:
    """See `ops.daytwo.node_disk.NodeDisk`; container and volume are found by the stack's prefix."""

    stays_away: ClassVar[bool] = True
    engine: DockerClient
    prefix: str
    ordinal: int

    @property
    def name(self) -> str:
        """Of the container, and of the volume."""
        return f"{self.prefix}-qdrant-{self.ordinal}"

    def container(self) -> Any | None:
        """The container; None when there is none."""
        try:
            return self.engine.containers.get(self.name)
        except NotFound:
            return None

    def end(self) -> None:
        if (container := self.container()) and container.status in ("running", "restarting", "paused"):
            container.kill()

    def diagnose(self) -> str:
        container = self.container()
        if container and container.attrs.get("RestartCount", 0) >= RESTARTS:
            return f"{self.name} has ended {container.attrs['RestartCount']} times by itself"
        if not self._has_volume():
            return f"volume {self.name} is gone"
        return "" if self._was_member() else f"volume {self.name} holds no state of a member"

    def give_up(self) -> None:
        """The volume is emptied, or created when there is none: nothing of a former member may come back."""
        self.end()
        if not self._has_volume():
            self.engine.volumes.create(self.name)
            return
        run_to_end(
            {
                "name": f"{self.name}-emptied",
                "image": self._image(),
                "command": ["find", STORAGE, "-mindepth", "1", "-delete"],
                "env": {},
                "network": "none",
                "volume": self.name,
                "volume_path": STORAGE,
                "files": {},
                "label": self.prefix,
            }
        )

    def start(self) -> bool:
        if container := self.container():
            container.start()
        return container is not None

    def _has_volume(self) -> bool:
        try:
            self.engine.volumes.get(self.name)
        except NotFound:
            return False
        return True

    def _was_member(self) -> bool:
        volumes = {self.name: {"bind": STORAGE, "mode": "ro"}}
        reader = self.engine.containers.create(self._image(), ["true"], volumes=volumes, labels={LABEL: self.prefix})
        try:
            chunks, _ = reader.get_archive(f"{STORAGE}/raft_state.json")
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
                state = archive.extractfile("raft_state.json")
                return bool(state and MEMBER.search(state.read()))
        except NotFound:
            return False
        finally:
            reader.remove(force=True)

    def _image(self) -> str:
        """That of the node itself, or of another one of the stack."""
        filters = {"label": f"{LABEL}={self.prefix}", "name": f"{self.prefix}-qdrant-"}
        if container := self.container() or next(iter(self.engine.containers.list(all=True, filters=filters)), None):
            return str(container.image.id)
        raise OperatorError(f"expected a container of {self.prefix}-qdrant, found none; run make up")
