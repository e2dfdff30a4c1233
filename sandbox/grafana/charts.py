"""Panels as pictures: lines over time, coloured numbers, bars of states, tables, text. Plain SVG and HTML."""

import json
import math
import re
from collections.abc import Sequence
from html import escape
from typing import Any

Tree = dict[str, Any]
Points = Sequence[tuple[float, float]]
Lines = Sequence[tuple[str, Points]]  # legend and (seconds, value)

COLOURS = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0", "#37872d", "#fade2a")
NAMED = {"green": "#37872d", "red": "#c4162a", "yellow": "#e0b400", "orange": "#fa6400", "text": "#44484f"}
STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
UNITS = {"reqps": " req/s", "ms": " ms", "s": " s", "bytes": " B", "Bps": " B/s", "ops": " /s"}


def legend(pattern: str, labels: Tree) -> str:
    """The words of a line: the pattern with its labels, else all labels."""
    if pattern == "__auto" or not pattern:
        return json.dumps({name: labels[name] for name in labels if name != "__name__"}).strip("{}")
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), pattern)


def shown(value: float, unit: str) -> str:
    """A value as people read it."""
    if math.isnan(value):
        return "NaN"
    if unit == "percentunit":
        return f"{value * 100:.4g} %"
    if unit == "s" and abs(value) < 1:
        return f"{value * 1000:.3g} ms"
    for size, letter in STEPS:
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}{UNITS.get(unit, '')}"
    return f"{value:.3g}{UNITS.get(unit, '')}"


def graph(lines: Lines, panel: Tree, start: float, end: float) -> str:
    """Lines from 0 to the highest value, with the dashed line of the last threshold."""
    defaults = panel["fieldConfig"]["defaults"]
    unit, limits = defaults.get("unit", ""), [step.get("value") for step in defaults["thresholds"]["steps"]]
    limit = limits[-1] if len(limits) > 1 else None
    values = [value for _, points in lines for _, value in points if not math.isnan(value)]
    top = (max(values, default=0) or 1) * 1.1
    top = max(top, limit * 1.1) if limit and limit < 4 * top else top
    drawn = "".join(_grid(top, unit))
    for number, (_, points) in enumerate(lines):
        drawn += _line(points, start, end, top, COLOURS[number % len(COLOURS)])
    if limit is not None and limit <= top:
        drawn += f'<path d="M60 {_y(limit, top)}H600" stroke="#f2495c" stroke-dasharray="6 4"/>'
    words = "".join(
        f'<span style="color:{COLOURS[number % len(COLOURS)]}">&#9644; {escape(name) or "value"} '
        f"<b>{shown(points[-1][1], unit) if points else ''}</b></span> "
        for number, (name, points) in enumerate(lines)
    )
    return f'<svg viewBox="0 0 600 160" preserveAspectRatio="none">{drawn}</svg><p class=legend>{words}</p>'


def _grid(top: float, unit: str) -> list[str]:
    return [
        f'<path d="M60 {_y(top * part, top)}H600" stroke="#2c3235"/>'
        f'<text x="56" y="{_y(top * part, top) + 3}" text-anchor="end">{shown(top * part, unit)}</text>'
        for part in (0, 0.25, 0.5, 0.75, 1)
    ]


def _y(value: float, top: float) -> float:
    return round(150 - 140 * value / top, 1)


def _line(points: Points, start: float, end: float, top: float, colour: str) -> str:
    seen = [(time, value) for time, value in points if not math.isnan(value)]
    found = [(60 + 540 * (time - start) / (end - start), _y(value, top)) for time, value in seen]
    if len(found) == 1:
        return f'<circle cx="{found[0][0]:.1f}" cy="{found[0][1]}" r="2" fill="{colour}"/>'
    path = "L".join(f"{x:.1f} {y}" for x, y in found)
    return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>' if found else ""


def states(lines: Lines, panel: Tree, start: float, end: float) -> str:
    """A bar for each line, coloured by what it was when."""
    bars = ""
    for row, (name, points) in enumerate(lines[:14]):
        y = 4 + row * 11
        bars += f'<text x="146" y="{y + 8}" text-anchor="end">{escape(name)}</text>'
        for (time, value), (until, _) in zip(points, [*points[1:], (end, 0)], strict=True):
            x, width = 150 + 450 * (time - start) / (end - start), 450 * (until - time) / (end - start)
            bars += f'<rect x="{x:.1f}" y="{y}" width="{width:.2f}" height="9" fill="{colour(value, panel)}"/>'
    return f'<svg viewBox="0 0 600 160" preserveAspectRatio="none">{bars}</svg>'


def numbers(lines: Lines, panel: Tree) -> str:
    """Big coloured numbers."""
    unit = panel["fieldConfig"]["defaults"].get("unit", "")
    tiles = (
        f'<div class=tile style="background:{colour(points[-1][1], panel)}">{escape(name)}'
        f"<b>{escape(meaning(points[-1][1], panel) or shown(points[-1][1], unit))}</b></div>"
        for name, points in lines
        if points
    )
    return f"<div class=tiles>{''.join(tiles)}</div>"


def table(rows: Sequence[tuple[str, Tree, float]]) -> str:
    """One row for each combination of labels, one column for each query: (column, labels, value)."""
    columns = list(dict.fromkeys(column for column, _, _ in rows))
    keys = list(dict.fromkeys(json.dumps(labels, sort_keys=True) for _, labels, _ in rows))
    cells = {(json.dumps(labels, sort_keys=True), column): value for column, labels, value in rows}
    head = "".join(f"<th>{escape(column)}" for column in ("", *columns))
    body = "".join(
        f"<tr><td>{escape(', '.join(map(str, json.loads(key).values())))}"
        + "".join(f"<td>{f'{cells[key, column]:g}' if (key, column) in cells else '-'}" for column in columns)
        for key in keys
    )
    return f"<table><tr>{head}{body}</table>"


def meaning(value: float, panel: Tree) -> str:
    """The word that a panel has for a value."""
    return str(_mapped(value, panel).get("text", ""))


def colour(value: float, panel: Tree) -> str:
    """The colour that a panel has for a value."""
    chosen = _mapped(value, panel).get("color", "")
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"] if not chosen else []:
        chosen = step["color"] if step.get("value") is None or value >= step["value"] else chosen
    return str(NAMED.get(chosen, chosen))


def _mapped(value: float, panel: Tree) -> Tree:
    for mapping in panel["fieldConfig"]["defaults"].get("mappings") or []:
        if found := mapping.get("options", {}).get(f"{value:g}"):
            return dict(found)
    return {}
