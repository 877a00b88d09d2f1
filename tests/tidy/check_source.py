#!/usr/bin/env python3
"""Rules of the source tree that no compiler checks. Prints each violation as FILE:LINE: why.

- Include arrows: main.cpp -> X/io -> X/core -> common; no daemon includes another; common includes
  none of them; a core includes no I/O.
- A core has no clock, environment, random source, socket or thread.
- co_await: GCC 12 destroys aggregates inside a co_await expression twice, and miscompiles a
  conditional around one.
- clang-format leaves every file as it is.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DAEMONS = ("agent", "seeder", "orchestrator")
PURE = re.compile(r"^(common/(api|core|format|delta)|(agent|seeder|orchestrator)/core|orchestrator/judge)/")
IMPURE_INCLUDE = re.compile(r"^(common/(io|swarm|repository)|(agent|seeder|orchestrator|cli)/io)/")
FORBIDDEN_IN_PURE = re.compile(
    r"::now\(|getenv|random_device|std::thread|jthread|<(thread|filesystem|fstream|sys/socket\.h|fcntl\.h)>|boost/|libtorrent/")
CO_AWAIT = re.compile(r"\?[^;:]*co_await|co_await((?:[^;{?\[]|\[\w+\])*)([{?\[])")


def sources():
    listed = subprocess.run(["git", "ls-files", "*.h", "*.cpp"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.split()
    return [name for name in listed if (ROOT / name).exists()]


def room(path):
    return path.split("/", 1)[0]


def check_include(name, included):
    mine, theirs = room(name), room(included)
    if mine == "tests":
        return None
    if mine == "common" and theirs in DAEMONS + ("cli", "tests"):
        return "common includes no daemon"
    if mine in DAEMONS and theirs in DAEMONS + ("cli",) and theirs != mine:
        return f"{mine} includes {theirs}"
    if mine == "cli" and theirs in DAEMONS:
        return f"cli includes {theirs}"
    if theirs == "tests":
        return "a program includes test code"
    if PURE.match(name) and IMPURE_INCLUDE.match(included):
        return "a pure room includes one that does I/O"
    return None


def check_file(name):
    text = (ROOT / name).read_text()
    for number, line in enumerate(text.splitlines(), 1):
        include = re.match(r'#include "([^"]+)"', line)
        if include and (why := check_include(name, include[1])):
            yield number, f"{why}: {include[1]}"
        if PURE.match(name) and not line.lstrip().startswith("//") and FORBIDDEN_IN_PURE.search(line):
            yield number, "a pure room has no clock, environment, thread, file, socket or random source"
        if re.search(r"\b(TODO|FIXME|XXX)\b", line):
            yield number, "unfinished work belongs into an issue"
    for match in CO_AWAIT.finditer(text):
        if not re.search(r"\)\s*$", match[1] or "") or match[2] != "{":
            yield text.count("\n", 0, match.start()) + 1, "name the operand before the co_await"
    if name.endswith(".h") and "#pragma once" not in text:
        yield 1, "a header starts with #pragma once"


def main():
    names = sources()
    problems = [f"{name}:{line}: {why}" for name in names for line, why in check_file(name)]
    formatted = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *names], cwd=ROOT,
                               capture_output=True, text=True)
    if formatted.returncode != 0:
        problems += sorted({line for line in formatted.stderr.splitlines() if "error:" in line})
    print("\n".join(problems) if problems else f"{len(names)} files keep the rules")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
