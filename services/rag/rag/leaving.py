"""Graceful shutdown: health checks fail first, requests are served until balancers have reacted, then it stops."""

import logging
import signal
import threading
from types import FrameType

import uvicorn

from rag.front import Front

log = logging.getLogger(__name__)


class LeavingServer(uvicorn.Server):
    """On SIGTERM `/health` answers 503 and each answer closes its connection; `seconds` later it stops as usual.

    A balancer takes it out of rotation before it stops. A second SIGTERM stops it at once.
    """

    def __init__(self, config: uvicorn.Config, front: Front, seconds: float) -> None:
        super().__init__(config)
        self._front = front
        self._seconds = seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to leave, or end."""
        if sig != signal.SIGTERM or self._front.leaving or not self._seconds:
            super().handle_exit(sig, frame)
            return
        self._front.leaving = True
        log.info("leaving", extra={"seconds": self._seconds})
        end = threading.Timer(self._seconds, super().handle_exit, (sig, frame))
        end.daemon = True
        end.start()
