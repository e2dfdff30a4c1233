"""The clients as a program of their own, for a pod: `python -m proof.traffic.in_cluster FILE`.

The file says in JSON where they call, and how often.

A line of JSON for the points of each acknowledged write, at once, and for each call, soon; one when it has begun, and
one when it has ended, which SIGTERM asks it to, with the number of all lines. It needs what `SHIPPED` of
`proof.traffic.traffic_pod` names, and `requests`.
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
ENOUGH = {signal.SIGTERM}


class Voice:
    """Says lines of JSON, from whichever thread, and counts them; whoever listens keeps the ledger."""

    def __init__(self) -> None:
        self.lines = 0
        self._line = threading.Lock()

    def say(self, **what: object) -> None:
        with self._line:
            self.lines += 1
            print(json.dumps(what), flush=True)

    def acknowledge(self, points: Mapping[int, str]) -> None:
        self.say(acknowledged=points)

    def say_calls(self, traffic: Traffic, said: int) -> int:
        """Say the calls that were not said yet; returns how many were."""
        fresh = traffic.calls[said:]
        for call in fresh:
            self.say(call=asdict(call))
        return said + len(fresh)


def main() -> None:
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # Blocked and waited for: a handler that sets an Event stands still for ever when it interrupts that very Event.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENOUGH)
    voice, said = Voice(), 0
    voice.say(monotonic=time.monotonic(), time=time.time())
    with Traffic(streams(Endpoints(**told["endpoints"]), Pace(**told["pace"]), voice)) as traffic:
        while signal.sigtimedwait(ENOUGH, PAUSE_SECONDS) is None:
            said = voice.say_calls(traffic, said)
    voice.say_calls(traffic, said)
    voice.say(lines=voice.lines + 1)


if __name__ == "__main__":
    main()
