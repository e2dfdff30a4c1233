"""What fires on the running stack, and waiting for it."""

import time
from collections.abc import Collection
from dataclasses import dataclass

import requests


@dataclass(frozen=True)
class Prometheus:
    """The stack's Prometheus, as this machine reaches it."""

    url: str

    def ask(self, expr: str) -> list[dict[str, str]]:
        """The labels of each series that answers."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": expr}, timeout=20)
        answer.raise_for_status()
        return [dict(row["metric"]) for row in answer.json()["data"]["result"]]

    def firing(self, severity: str = "page|ticket") -> set[str]:
        """The names of what fires now."""
        return {row["alertname"] for row in self.ask(f'ALERTS{{alertstate="firing",severity=~"{severity}"}}')}

    def fired(self, seconds: float, severity: str) -> set[str]:
        """The names of what fired at any time in the last seconds."""
        where = f'ALERTS{{alertstate="firing",severity=~"{severity}"}}[{max(1, round(seconds))}s]'
        return {row["alertname"] for row in self.ask(f"max_over_time({where})")}

    def wait_until(self, expected: Collection[str], within_seconds: float) -> float:
        """Wait until all of these fire; the seconds it took."""
        began = time.monotonic()
        while missing := set(expected) - (now := self.firing()):
            assert time.monotonic() - began < within_seconds, f"expected {missing} too, found only {now} firing"
            time.sleep(0.5)
        return time.monotonic() - began

    def wait_until_quiet(self, within_seconds: float, *, of: Collection[str] = (), but: Collection[str] = ()) -> float:
        """Wait until neither these nor any page fires, `but` for those; the seconds it took."""
        began = time.monotonic()
        while loud := (self.firing() & set(of) | self.firing("page")) - set(but):
            assert time.monotonic() - began < within_seconds, f"expected silence, found {loud} firing"
            time.sleep(0.5)
        return time.monotonic() - began
