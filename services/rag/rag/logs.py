"""One JSON object a line, with the id of the request that caused it, and of its trace if there is one."""

import json
import logging
import sys
import time
from contextvars import ContextVar

from rag.traces import trace_id

request_id: ContextVar[str] = ContextVar("request_id", default="")
PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """A record as one line; what a caller gives as `extra` becomes a key."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        instant = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{instant}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "role": self._role,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get() or None,
            "trace_id": trace_id() or None,
            **{key: value for key, value in vars(record).items() if key not in PLAIN},
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({key: value for key, value in line.items() if value is not None}, default=str)


def log_as_json(role: str, level: str) -> None:
    """Send every logger's lines to standard output in this form."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(role))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for talker in ("httpx", "httpcore"):  # a line for each of our own calls
        logging.getLogger(talker).setLevel(logging.WARNING)
