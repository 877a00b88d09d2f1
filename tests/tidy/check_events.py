#!/usr/bin/env python3
"""docs/events.md has every event that the programs log, with its levels, its message id and its fields, and no other.
Prints what is missing or wrong, and the row that would be right."""

import collections
import hashlib
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/events.md"
LEVELS = ("debug", "info", "warning", "error")
NAME = re.compile(r'"([a-z_]+\.[a-z_]+)"')


def arguments(text, begin):
    """The text of a call's arguments, which begin there."""
    depth, quoted, at = 1, False, begin
    while depth:
        c = text[at]
        if c == '"' and text[at - 1] != "\\":
            quoted = not quoted
        depth += 0 if quoted else (c in "({") - (c in ")}")
        at += 1
    return text[begin : at - 1]


def logged():
    """{event: (levels, fields)}, as the sources have it."""
    found = collections.defaultdict(lambda: (set(), set()))
    for room in ("agent", "cli", "common", "orchestrator", "seeder"):
        for path in sorted((ROOT / room).rglob("*.cpp")):
            text = path.read_text()
            for call in re.finditer(r"\blog_event\(", text):
                called = arguments(text, call.end())
                head, _, fields = called.partition("{")
                levels = re.findall(r"LogLevel::(\w+)", head)
                events = NAME.findall(head)
                if path.name == "log.cpp":
                    continue  # Its definition.
                if not levels or not events:
                    sys.exit(f"{path}: a log_event() whose level and name are no literals: {called.strip()[:60]}")
                for event in events:
                    found[event][0].update(levels)
                    found[event][1].update(re.findall(r'\{\s*"(\w+)"\s*,', fields))
    return found


def message_id(event):
    return hashlib.sha256(f"slipway event {event}".encode()).hexdigest()[:32]


def row(event, levels, fields):
    levels = ", ".join(sorted(levels, key=LEVELS.index))
    fields = ", ".join(f"`{name}`" for name in sorted(fields)) or "none"
    return f"| `{event}` | {levels} | `{message_id(event)}` | {fields} |"


def main():
    right = {event: row(event, *rest) for event, rest in logged().items()}
    written = {}
    for line in PAGE.read_text().splitlines():
        if cells := re.match(r"(\| `([a-z_.]+)` \|.*?\|.*?\|.*?\|)(.*)\|$", line):
            if not cells[3].strip():
                sys.exit(f"docs/events.md: {cells[2]}: says nothing")
            written[cells[2]] = cells[1]
    problems = [f"add a row: {right[e]} what it means |" for e in sorted(right.keys() - written.keys())]
    problems += [f"nothing logs {e}: remove its row" for e in sorted(written.keys() - right.keys())]
    problems += [f"is     {written[e]}\n  but is {right[e]}" for e in sorted(right) if written.get(e, right[e]) != right[e]]
    for problem in problems:
        print(f"docs/events.md: {problem}")
    print(f"{len(right)} events")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
