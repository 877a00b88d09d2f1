#!/usr/bin/env python3
"""Killed at, or refused, any call that changes the disk: `current` is whole, and a second run ends it.

Every such call of a first install, an upgrade, a rollback, gc and a repair is a point, counted over
all threads by disk_recorder.cpp (strace counts each thread by itself, and so cannot name a call of a
program with threads). That the recorder sees every call that the kernel sees is shown with strace.
"""

import collections
import errno
import random
import re
import shutil
import signal
import subprocess
import sys
import unittest

from disk_model import parse_log
from harness import BIN, DONE, FAILED, LONG, main
from scene import ERRORS, FAILING, SEED, Scene, spread

KILL_POINTS, FAIL_POINTS = 100, 60  # In CI; all in the long form.

TRACED = {
    "open": "create", "openat": "create", "creat": "create",
    "write": "write", "writev": "write", "pwrite64": "write", "pwritev": "write",
    "copy_file_range": "write", "sendfile": "write",
    "rename": "rename", "renameat": "rename", "renameat2": "rename",
    "unlink": "unlink", "unlinkat": "unlink", "rmdir": "unlink",
    "link": "link", "linkat": "link", "symlink": "symlink", "symlinkat": "symlink",
    "mkdir": "mkdir", "mkdirat": "mkdir", "truncate": "size", "ftruncate": "size",
    "fallocate": "allocate", "chmod": "mode", "fchmod": "mode", "fchmodat": "mode",
    "fsync": "sync", "fdatasync": "sync", "syncfs": "sync", "sync": "sync",
    "sync_file_range": "sync", "msync": "sync", "mknod": "create", "mknodat": "create",
}  # fmt: skip
SAME = {"exchange": "rename", "datasync": "sync", "syncfs": "sync"}
SAME |= {"empty": "create", "opened": "create"}


def can_trace():
    return bool(shutil.which("strace")) and not subprocess.call(
        ["strace", "-f", "true"], stderr=subprocess.DEVNULL
    )


def seen_by_kernel(log, root):
    """How many calls of each kind changed something below `root`."""
    kinds = collections.Counter()
    for line in log.splitlines():
        found = re.match(r"\d+\s+(\w+)\(", line)
        if not found or root not in line or found[1] not in TRACED or "= -1" in line:
            continue
        if found[1].startswith("open") and not re.search("O_CREAT|O_TRUNC", line):
            continue
        kinds[TRACED[found[1]]] += 1
    return kinds


class SystemCalls(Scene):
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
        chosen = points if LONG else spread(points, KILL_POINTS, random.Random(SEED))
        print(f"{len(points)} calls that change the disk", file=sys.stderr)
        met = self.run_points(chosen, "killed")
        # A thread more or less in a run makes the last numbers miss, no others.
        self.assertGreater(met, 0.95 * len(chosen))

    def test_refused_at_every_call(self):
        points = [
            (one, call.number, error)
            for one, calls in self.calls()
            for call in calls
            for error in ERRORS
            if call.kind in FAILING
        ]
        chosen = points if LONG else spread(points, FAIL_POINTS, random.Random(SEED))
        self.assertGreater(self.run_points(chosen, "refused"), 0.3 * len(chosen))

    @unittest.skipUnless(can_trace(), "strace cannot trace here")
    def test_the_recorder_sees_what_the_kernel_sees(self):
        for operation in self.operations().values():
            self.put(operation.ready)
            log, trace = self.home / f"{operation.name}.log", self.home / f"{operation.name}.trace"
            command = ["strace", "-f", "-y", "-qqq", "-s", "0", "-o", trace]
            command += ["-e", f"trace={','.join(TRACED)}"]
            for name, value in self.recorded(log=log).items():
                if name == "LD_PRELOAD" or name.startswith("SLIPWAY_DISK"):
                    command += ["-E", f"{name}={value}"]
            program = [BIN / "slipway-agent", *operation.command]
            subprocess.run(
                [*command, *program],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            recorded = collections.Counter(
                SAME.get(call.kind, call.kind)
                for call in parse_log(log.read_bytes())
                if call.kind == "opened" or call.number and call.kind != "failed"
            )
            kernel = seen_by_kernel(trace.read_text(errors="replace"), str(self.host()))
            with self.subTest(operation.name):
                self.assertEqual(dict(recorded), dict(kernel))


if __name__ == "__main__":
    main()
