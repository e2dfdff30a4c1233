"""What a run of tests means, for GitHub: an annotation for each failure, and the summary of the run.

`results.py FILE...`, of pytest's (`--junitxml`); the parts come from .state/parts.json, where `make parts` has left
them. Exit code 1 when there is no result to show: a run of no test is none that passed.
"""

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

PARTS = Path(__file__).resolve().parent.parent / ".state/parts.json"
ESCAPES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
MOST = 50  # failures; GitHub shows ten annotations of a step and the first of them is what matters


def escaped(text: str, more: str = "") -> str:
    """The text as a workflow command takes it; `more` characters are escaped too, in what stands before the message."""
    known = ESCAPES | {character: f"%{ord(character):02X}" for character in more}
    return "".join(known.get(character, character) for character in text)


def annotation(case: ElementTree.Element, problem: ElementTree.Element) -> str:
    """The line that makes GitHub show the failure at its test."""
    line = int(case.get("line", "0")) + 1  # pytest counts from 0
    place = f"file={escaped(case.get('file', ''), ':,')},line={line},title={escaped(case.get('name', ''), ':,')}"
    return f"::error {place}::{escaped((problem.get('message') or problem.text or '')[:2000])}"


def summary(counts: dict[str, int], failed: list[str], parts: list[dict[str, str]]) -> str:
    """In Markdown: how many tests ended how, which failed, and which part was the real thing."""
    lines = ["### Tests", ", ".join(f"{count} {word}" for word, count in counts.items()), *failed]
    stand_ins = [part for part in parts if part["kind"] != "real"]
    if parts:
        words = f"{len(stand_ins)} of {len(parts)} parts are stand-ins" if stand_ins else "Every part is the real thing"
        rows = [f"| {part['part']} | {part['kind']} | `{part['used']}` | {part['note']} |" for part in parts]
        lines += ["", "### Parts", f"{words}.", "", "| part | kind | used | |", "|---|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> None:
    """See the module."""
    counts, failed, found = {"passed": 0, "failed": 0, "skipped": 0}, [], False
    for name in (name for name in names if Path(name).exists()):
        for case in ElementTree.parse(name).iter("testcase"):  # noqa: S314  pytest's own
            found = True
            problem = next((child for child in case if child.tag in ("failure", "error")), None)
            skipped = case.find("skipped") is not None
            counts["failed" if problem is not None else "skipped" if skipped else "passed"] += 1
            if problem is not None and len(failed) < MOST:
                print(annotation(case, problem))
                failed.append(f"- `{case.get('file')}` {case.get('name')}")
    parts = json.loads(PARTS.read_text())["parts"] if PARTS.exists() else []
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    with Path(target).open("a") if target else sys.stdout as stream:
        stream.write(summary(counts, failed, parts))
    if not found:
        sys.exit(f"expected results of tests in {' '.join(names) or 'a file'}, found none; see the step that runs them")


if __name__ == "__main__":
    main(sys.argv[1:])
