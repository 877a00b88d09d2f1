#!/usr/bin/env python3
"""Killed at, or refused, any call that changes the disk: `current` is whole, and a second run ends it.

Every such call of a first install, an upgrade, a rollback, gc and a repair is a point, counted over
all threads by disk_recorder.cpp (strace counts each thread by itself, and so cannot name a call of a
program with threads). That the recorder sees every call that the kernel sees is shown with strace.
"""

import collections
import re
import shutil
import subprocess
import unittest

from disk_model import parse_log
from harness import BIN, main
import points

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


class SystemCalls(points.Points):
    kill_points, fail_points = 100, 60

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
