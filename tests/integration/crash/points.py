"""Kills, or refuses, an operation at its points, and tells how many were met."""

import errno
import random
import signal
import sys

from harness import DONE, FAILED, LONG
from scene import SEED, Scene, spread

# What may fail for want of space, by a quota or by a broken disk.
FAILING = {"write", "sync", "rename", "exchange", "link", "symlink", "mkdir", "create", "size"}
FAILING |= {"allocate", "datasync", "syncfs", "empty"}
ERRORS = ("ENOSPC", "EIO", "EDQUOT")


class Points(Scene):
    kill_points = fail_points = 0  # How many in CI.
    long_fail_points = sys.maxsize  # How many in the long form, which has all kills.
    kills_at_least, fails_at_least = 0.95, 0.3

    def run_points(self, points, what):
        """Runs (operation, number, error or None) and tells the exceptions."""
        met, exceptions = 0, []
        for operation, number, error in points:
            self.put(operation.ready)
            settings = {"error": getattr(errno, error)} if error else {}
            status = self.run_recorded(operation, at=number, **settings)
            met += status == (FAILED if error else -signal.SIGKILL)
            name = f"{operation.name}, {error or 'killed'} at call {number}"
            if status not in ((DONE, FAILED) if error else (DONE, -signal.SIGKILL)):
                exceptions.append(f"{name}: status {status}")
            elif why := self.exception_of(operation):
                exceptions.append(f"{name}: {why}")
        distinct = len(set((operation.name, number, error) for operation, number, error in points))
        print(
            f"{what}: {distinct} distinct points run, {met} of them ended the program, "
            f"{len(exceptions)} exceptions (seed {SEED})",
            file=sys.stderr,
        )
        self.assertEqual(exceptions, [])
        return met

    def calls(self):
        """Each operation with its numbered calls."""
        for operation in self.operations().values():
            self.put(operation.ready)
            yield operation, [call for call in self.record(operation) if call.number]

    def test_killed_at_every_call(self):
        points = [(one, call.number, None) for one, calls in self.calls() for call in calls]
        chosen = points if LONG else spread(points, self.kill_points, random.Random(SEED))
        print(f"{len(points)} calls that change the disk", file=sys.stderr)
        met = self.run_points(chosen, "killed")
        # A thread more or less in a run makes the last numbers miss, no others.
        self.assertGreaterEqual(met, self.kills_at_least * len(chosen))

    def test_refused_at_every_call(self):
        points = [
            (one, call.number, error)
            for one, calls in self.calls()
            for call in calls
            for error in ERRORS
            if call.kind in FAILING
        ]
        count = self.long_fail_points if LONG else self.fail_points
        chosen = spread(points, count, random.Random(SEED))
        self.assertGreaterEqual(self.run_points(chosen, "refused"), self.fails_at_least * len(chosen))
