"""The clients as a program of their own, for a pod: `python -m proof.inside FILE`, told in JSON where and how often.

A line of JSON for each call and for the points of each acknowledged write, said at once, and one when it has begun and
one when it has ended, which SIGTERM asks it to. It needs what `SHIPPED` of `proof.pod_crowd` names, and `requests`.
"""

import json
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from proof.crowd import Doors, Pace, streams
from proof.traffic import Traffic

PAUSE_SECONDS = 0.2
_line = threading.Lock()


def say(**what: object) -> None:
    with _line:
        print(json.dumps(what), flush=True)


class SpokenLedger:
    """Whoever listens keeps it."""

    def acknowledge(self, points: Mapping[int, str]) -> None:
        say(acknowledged=points)


def main() -> None:
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    enough = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: enough.set())
    say(monotonic=time.monotonic(), time=time.time())
    said = 0
    with Traffic(streams(Doors(**told["doors"]), Pace(**told["pace"]), SpokenLedger())) as traffic:
        while not enough.wait(PAUSE_SECONDS):
            said = say_calls(traffic, said)
    say_calls(traffic, said)
    say(ended=True)


def say_calls(traffic: Traffic, said: int) -> int:
    """Say the calls that were not said yet; returns how many were."""
    fresh = traffic.calls[said:]
    for call in fresh:
        say(call=asdict(call))
    return said + len(fresh)


if __name__ == "__main__":
    main()
