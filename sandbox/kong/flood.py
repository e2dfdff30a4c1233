"""nginx's limit_req, as KONG_NGINX_* inject it: a leaky bucket per client address, before Kong and its plugins."""

import re
import time

from sandbox.kong.settings import setting

KEPT = 10_000  # clients; nginx's zone of 10m holds more


class Flood:
    """Lets `burst` calls of a client be ahead of the rate, and none more; without a zone, all."""

    def __init__(self) -> None:
        zone = re.search(r"rate=(\d+)r/([sm])", setting("NGINX_HTTP_LIMIT_REQ_ZONE"))
        limit = setting("NGINX_PROXY_LIMIT_REQ")
        self._per_second = int(zone[1]) / (60 if zone[2] == "m" else 1) if zone and limit else 0.0
        self._burst = int(burst[1]) if (burst := re.search(r"burst=(\d+)", limit)) else 0
        self.status = int(setting("NGINX_PROXY_LIMIT_REQ_STATUS", "503"))
        self.worded_by_kong = self.status == 503 or str(self.status) in setting("NGINX_PROXY_ERROR_PAGE").split()
        self._buckets: dict[str, tuple[float, float]] = {}  # by client: how far ahead, and when

    def refuses(self, client: str) -> bool:
        """Count a call, unless it is one too many."""
        if not self._per_second:
            return False
        now = time.monotonic()
        ahead, seen = self._buckets.get(client, (-1.0, now))
        ahead = max(0.0, ahead + 1 - (now - seen) * self._per_second)
        if ahead > self._burst:
            return True
        if len(self._buckets) > KEPT:
            self._buckets.clear()
        self._buckets[client] = ahead, now
        return False
