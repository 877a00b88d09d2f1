#!/usr/bin/env python3
"""Killed at any time, the next run finishes or starts over; `current` is always a whole release.

The agent is killed at random times, and stopped. After each: `current` is exactly the old tree or
the new one, and a second run ends with the new one and leaves nothing behind. crash/ does the same at
each call that changes the disk.
"""

import os
import random
import signal
import subprocess
import time

from harness import BIN, DONE, FAILED, LONG, Case, FileServer, Process, main, remove_tree, snapshot


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
                # -SIGINT: a busy machine had not let it begin.
                self.assertIn(status, (DONE, -signal.SIGINT))
            self.assert_second_run_ends_it(f"stopped after {delay} s")
        self.assertGreater(stopped, 0)


if __name__ == "__main__":
    main()
