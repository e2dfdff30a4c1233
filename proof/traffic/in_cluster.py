"""The clients as a program of their own, for a pod: `python -m proof.traffic.in_cluster FILE`.

The file is JSON: endpoints and pace. SIGTERM ends the program.

It logs lines of JSON: one at the begin, one for the points of each acknowledged write (at once) and for each call
(soon), and at the end one with the number of all lines. It needs the modules in `SHIPPED` of
`proof.traffic.traffic_pod`, and `requests`.
"""

import json
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from proof.traffic.endpoints import Endpoints, Pace, streams
from proof.traffic.generator import Traffic

PAUSE_SECONDS = 0.2
END = {signal.SIGTERM}


class LineLog:
    """Logs lines of JSON from any thread, and counts them; the receiver keeps the ledger."""

    def __init__(self) -> None:
        self.lines = 0
        self._line = threading.Lock()

    def report(self, **entry: object) -> None:
        with self._line:
            self.lines += 1
            print(json.dumps(entry), flush=True)

    def acknowledge(self, points: Mapping[int, str]) -> None:
        self.report(acknowledged=points)

    def report_calls(self, traffic: Traffic, reported: int) -> int:
        """Report the calls that were not reported yet; returns how many are now."""
        fresh = traffic.calls[reported:]
        for call in fresh:
            self.report(call=asdict(call))
        return reported + len(fresh)


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # Blocked and waited for: a handler that sets an Event stands still for ever when it interrupts that very Event.
    signal.pthread_sigmask(signal.SIG_BLOCK, END)
    log, reported = LineLog(), 0
    log.report(monotonic=time.monotonic(), time=time.time())
    with Traffic(streams(Endpoints(**config["endpoints"]), Pace(**config["pace"]), log)) as traffic:
        while signal.sigtimedwait(END, PAUSE_SECONDS) is None:
            reported = log.report_calls(traffic, reported)
    log.report_calls(traffic, reported)
    log.report(lines=log.lines + 1)


if __name__ == "__main__":
    main()
