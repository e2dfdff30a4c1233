"""Rules are written for a scrape every 15 seconds; at another pace every duration in them is as many scrapes long."""

import re
from dataclasses import replace

from components.monitoring.promises import SCRAPE_SECONDS
from components.monitoring.rules.rule import Alert, Recording, Rules

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"(?<![\w.])(\d+)([smhd])(?!\w)")
WINDOW = re.compile(r"\[[^\]]+\]|offset \S+")


def at_pace(rules: Rules, scrape_seconds: int) -> Rules:
    """Return the rules with each window, offset and waiting time as many scrapes long as it was written."""
    return tuple(_paced(rule, scrape_seconds) for rule in rules)


def _paced(rule: Recording | Alert, scrape_seconds: int) -> Recording | Alert:
    expr = WINDOW.sub(lambda found: duration_at_pace(found[0], scrape_seconds), rule.expr)
    if isinstance(rule, Alert):
        return replace(rule, expr=expr, wait=duration_at_pace(rule.wait, scrape_seconds))
    return replace(rule, expr=expr)


def duration_at_pace(text: str, scrape_seconds: int) -> str:
    """Return the text with its durations at another pace: `5m` is `100s` at 5 seconds."""

    def paced(found: re.Match[str]) -> str:
        seconds = int(found[1]) * UNITS[found[2]] * scrape_seconds / SCRAPE_SECONDS
        return found[0] if scrape_seconds == SCRAPE_SECONDS else f"{max(1, round(seconds))}s"

    return DURATION.sub(paced, text)
