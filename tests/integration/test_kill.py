#!/usr/bin/env python3
"""Killed at any point, the next run finishes or starts over; `current` is always a whole release.

The agent is killed, or told of a disk that fails, at counted system calls (strace injects it) and at
random times. After each kill: `current` is exactly the old tree or the new one, and a second run
ends with the new one and leaves nothing behind.
"""

import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import unittest

from harness import BIN, DONE, FAILED, LONG, Case, FileServer, Process, main, remove_tree, snapshot

# Calls that change the disk, in groups that are counted together.
CALLS = (
    "renameat2,rename",
    "symlink,symlinkat",
    "linkat",
    "mkdir,mkdirat",
    "fsync,fdatasync,syncfs",
    "fallocate,ftruncate",
    "fchmod,fchmodat",
    "unlink,unlinkat",
    "write",
    "pwrite64",
)


# Where the system tells of a full disk, a broken one, or a quota.
FAILING_CALLS = (
    "pwrite64",
    "fsync,fdatasync,syncfs",
    "renameat2,rename",
    "linkat",
    "mkdir,mkdirat",
    "symlink,symlinkat",
    "fallocate,ftruncate",
)
ERRORS = ("ENOSPC", "EIO", "EDQUOT")


def can_trace():
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-f", "true"], stderr=subprocess.DEVNULL).returncode == 0


class Kill(Case):
    def setUp(self):
        super().setUp()
        self.init_repo()
        self.old = self.tree("1.0")
        self.new = self.tree("1.1")
        self.publish("1.0", self.old)
        self.install("1.0", self.repo)
        self.publish("1.1", self.new)
        self.old_tree, self.new_tree = snapshot(self.old), snapshot(self.new)
        self.fresh = self.home / "fresh"
        subprocess.run(["cp", "-a", self.host(), self.fresh], check=True)

    def reset(self):
        remove_tree(self.host())
        subprocess.run(["cp", "-a", self.fresh, self.host()], check=True)

    def assert_whole(self, what):
        tree = snapshot(self.current())
        self.assertIn(tree, (self.old_tree, self.new_tree), what)
        status = self.agent("status", "--root", self.host(), "--json").last_json()
        version = "1.1" if tree == self.new_tree else "1.0"
        self.assertEqual(status["services"][0]["current"]["artifact"], f"web@{version}", what)

    def assert_second_run_ends_it(self, what):
        self.assert_whole(what)
        self.install("1.1", self.repo)
        self.assertEqual(snapshot(self.current()), self.new_tree, what)
        self.assert_tidy()
        status = self.agent("status", "--root", self.host(), "--json").last_json()
        self.assertEqual(status["services"][0]["previous"]["artifact"], "web@1.0", what)

    def traced(self, calls, when, *command, inject="signal=KILL"):
        """The exit status of the agent with SIGKILL, or another injection, at the when'th of
        `calls`; -9 if it was killed."""
        inject = f"inject={calls}:{inject}:when={when}"
        ended = subprocess.run(
            ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", inject]
            + [str(BIN / "slipway-agent"), *map(str, command)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
        )
        return ended.returncode

    def points(self, calls, *command):
        """How often the calls happen in an undisturbed run. strace counts each thread by itself,
        so this is the count of the busiest one."""
        log = self.home / "strace.log"
        self.reset()
        subprocess.run(
            ["strace", "-f", "-qqq", "-o", log, "-e", f"trace={calls}"]
            + [str(BIN / "slipway-agent"), *map(str, command)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        by_thread = collections.Counter(
            line.split()[0]
            for line in log.read_text(errors="replace").splitlines()
            if "(" in line and "resumed>" not in line
        )
        return max(by_thread.values(), default=0)

    def chosen_points(self, calls, command, points_max):
        points = list(range(1, self.points(calls, *command) + 1))
        if len(points) <= points_max:
            return points
        if points_max < 12:  # The last calls are where the state changes.
            return points[:2] + points[2 - points_max :]
        middle = random.sample(points[3:-8], points_max - 11)
        return points[:3] + sorted(middle) + points[-8:]

    def kill_at_every(self, calls, command, check, points_max):
        points = self.chosen_points(calls, command, points_max)
        count = len(points)
        killed = 0
        for when in points:
            self.reset()
            killed += self.traced(calls, when, *command) == -signal.SIGKILL
            check(f"{calls} number {when} of {count}")
        if points:  # Threads share the work differently in each run, so not every point is met.
            self.assertGreater(killed, 0, calls)

    @unittest.skipUnless(can_trace(), "strace cannot trace here")
    def test_install_killed_at_system_calls(self):
        for calls in CALLS:
            with self.subTest(calls):
                self.kill_at_every(
                    calls,
                    self.install_args("1.1", self.repo),
                    self.assert_second_run_ends_it,
                    10_000 if LONG else 14,
                )

    @unittest.skipUnless(can_trace(), "strace cannot trace here")
    def test_rollback_killed_at_system_calls(self):
        self.install("1.1", self.repo)
        remove_tree(self.fresh)
        subprocess.run(["cp", "-a", self.host(), self.fresh], check=True)

        def check(what):
            self.assert_whole(what)
            if snapshot(self.current()) == self.new_tree:
                self.agent("rollback", "--root", self.host())
            self.assertEqual(snapshot(self.current()), self.old_tree, what)
            self.agent("gc", "--root", self.host())
            self.assert_tidy()

        for calls in ("renameat2,rename", "symlink,symlinkat", "fsync,fdatasync", "unlink,unlinkat"):
            with self.subTest(calls):
                self.kill_at_every(
                    calls, ["rollback", "--root", self.host()], check, 10_000 if LONG else 14
                )

    @unittest.skipUnless(can_trace(), "strace cannot trace here")
    def test_gc_killed_at_system_calls(self):
        self.install("1.1", self.repo)
        self.publish("1.2", self.tree("1.2"))
        self.install("1.2", self.repo)  # Now gc has 1.0 to remove.
        self.old_tree = self.new_tree
        self.new_tree = snapshot(self.current())
        remove_tree(self.fresh)
        subprocess.run(["cp", "-a", self.host(), self.fresh], check=True)
        command = ["gc", "--root", self.host()]

        def check(what):
            self.assertEqual(snapshot(self.current()), self.new_tree, what)
            self.agent(*command)
            self.assert_tidy()
            self.assertEqual(len(self.host_state()[1]), 2, what)
            self.agent("rollback", "--root", self.host())
            self.assertEqual(snapshot(self.current()), self.old_tree, what)

        for calls in ("renameat2,rename", "unlink,unlinkat", "fsync,fdatasync", "fchmod,fchmodat"):
            with self.subTest(calls):
                self.kill_at_every(calls, command, check, 10_000 if LONG else 6)

    @unittest.skipUnless(can_trace(), "strace cannot trace here")
    def test_install_with_system_calls_that_fail(self):
        """A full or broken disk or a quota at any call: told, `current` whole, a second run ends it."""
        command = self.install_args("1.1", self.repo)
        met = 0
        for number, calls in enumerate(FAILING_CALLS):
            points = self.chosen_points(calls, command, 10_000 if LONG else 4)
            for error in ERRORS if LONG else (ERRORS[number % len(ERRORS)],):
                for when in points:
                    what = f"{error} at {calls} number {when}"
                    with self.subTest(what):
                        self.reset()
                        status = self.traced(calls, when, *command, inject=f"error={error}")
                        self.assertIn(status, (DONE, FAILED), what)
                        met += status == FAILED
                        self.assert_whole(what)
                        self.assert_second_run_ends_it(what)
        print(f"{met} of the injected errors ended an install", file=sys.stderr)
        self.assertGreater(met, 0)

    def test_install_killed_at_random_times(self):
        self.reset()
        whole = self.install("1.1", self.repo).seconds
        dice = random.Random(os.environ.get("SLIPWAY_TEST_SEED", "1"))
        for run in range(200 if LONG else 15):
            delay = dice.uniform(0, whole)
            self.reset()
            process = Process(
                self, [BIN / "slipway-agent", *self.install_args("1.1", self.repo)]
            )
            time.sleep(delay)
            process.signal(signal.SIGKILL)
            process.wait()
            process.end()
            self.assert_second_run_ends_it(f"run {run}, killed after {delay:.3f} s")

    def test_ctrl_c_leaves_nothing_half_done_and_a_second_run_goes_on(self):
        # A server that takes its time, so that the signal comes in the middle.
        def slowly(path, body):
            if path.startswith("packs/") and not path.endswith(".torrent"):
                time.sleep(0.2)
            return body

        server = FileServer(self, self.repo, slowly)
        stopped = 0
        for delay in (0.05, 0.2, 0.5, 1.0):
            self.reset()
            process = Process(
                self, [BIN / "slipway-agent", *self.install_args("1.1", server.url)]
            )
            time.sleep(delay)
            process.signal(signal.SIGINT)
            status = process.wait(10)
            if status == FAILED:
                stopped += 1
                self.assertIn("stopped on request", process.errors())
                self.assertEqual(snapshot(self.current()), self.old_tree)
            else:
                self.assertEqual(status, DONE)
            self.assert_second_run_ends_it(f"stopped after {delay} s")
        self.assertGreater(stopped, 0)


if __name__ == "__main__":
    main()
