#!/usr/bin/env python3
"""slipway-agent run on hosts without a service manager: it keeps the command of a release running itself."""

import os
import signal
import time

from daemon_case import PATIENCE_S, DaemonCase
from harness import main, write

RUN = """#!/bin/sh
echo "$SLIPWAY_ARTIFACT $$" >> {runs}
{then}
"""
STAY = "exec sleep 1000"
CRASH_SOON = "sleep 0.3; exit 3"


class Command(DaemonCase):
    """The programs of releases say in a file that they began."""

    def setUp(self):
        super().setUp()
        self.trees = {}
        for version, then in (("2.0", STAY), ("2.1", STAY), ("crashes", CRASH_SOON)):
            tree = self.home / f"tree-{version}"
            write(tree / "serve", RUN.format(runs=self.runs, then=then), 0o755)
            write(tree / "data", os.urandom(10_000))
            self.trees[version] = tree
            self.publish(version, tree)

    @property
    def runs(self):
        return self.home / "runs"

    def config_text(self, more=""):
        return f"""
root = "{self.host()}"
trust = "{self.trust}"
seeders = ["{self.seeder.url}"]
[services.web.run]
version = 1
command = {{argv = ["serve"], stop_timeout = "2s"}}
bake = "1s"
{more}"""

    def begun(self):
        lines = self.runs.read_text().split("\n")[:-1] if self.runs.exists() else []
        return [(artifact, int(pid)) for artifact, pid in (line.split() for line in lines)]

    def wait_begun(self, count):
        deadline = time.monotonic() + PATIENCE_S
        while len(self.begun()) < count:
            self.assertLess(time.monotonic(), deadline, self.begun())
            time.sleep(0.02)
        return self.begun()

    def assert_ended(self, pid):
        deadline = time.monotonic() + PATIENCE_S
        while os.path.exists(f"/proc/{pid}"):
            self.assertLess(time.monotonic(), deadline, f"{pid} runs on")
            time.sleep(0.02)

    def test_a_command_is_started_replaced_and_ends_with_the_daemon(self):
        self.want("2.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "2.0")
        [(artifact, first)] = self.begun()
        self.assertEqual(artifact, "web@2.0")
        self.want("2.1")
        self.wait_healthy(daemon, "2.1")
        self.assert_ended(first)
        (_, second) = self.begun()[-1]
        self.assertTrue(os.path.exists(f"/proc/{second}"))
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)
        self.assert_ended(second)
        self.assertEqual([artifact for artifact, _ in self.begun()], ["web@2.0", "web@2.1"])

    def test_a_command_that_crashes_while_it_bakes_is_left(self):
        self.want("2.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "2.0")
        self.want("crashes")
        status = self.wait_for(daemon, state="rolled-back")
        self.assertIn("web", status["last_error"])
        begun = self.wait_begun(3)
        self.assertEqual(begun[0][0], "web@2.0")
        self.assertEqual(begun[1][0], "web@crashes")
        self.assertEqual(begun[-1][0], "web@2.0")
        self.assertTrue(os.path.exists(f"/proc/{begun[-1][1]}"))

    def test_after_a_crash_of_the_daemon_the_command_runs_again(self):
        self.want("2.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "2.0")
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        [(_, first)] = self.begun()
        self.assert_ended(first)
        self.seeder.end()  # Nothing is fetched for it.
        daemon = self.daemon()
        begun = self.wait_begun(2)
        self.assertEqual(begun[1][0], "web@2.0")
        self.wait_healthy(daemon, "2.0")
        # The command that ends by itself is started again, without any order.
        os.kill(begun[1][1], signal.SIGKILL)
        self.assertEqual(self.wait_begun(3)[2][0], "web@2.0")

    def test_switched_by_hand_the_command_follows(self):
        self.want("2.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "2.0")
        self.want("2.1")
        self.wait_healthy(daemon, "2.1")
        self.agent("rollback", "--root", self.host(), "--service", "web")
        self.wait_for(daemon, state="rolled-back")
        self.assertEqual(self.wait_begun(3)[2][0], "web@2.0")


if __name__ == "__main__":
    main()
