#!/usr/bin/env python3
"""slipway-agent explain: where the time of the last installation went."""

import os
import signal
import time

from daemon_case import PATIENCE_S, DaemonCase
from harness import BIN, NOT_FOUND, Process, main

FETCHED = {"metadata", "build", "verify"}


class Explain(DaemonCase):
    def config_text(self, more=""):
        # What takes known time: four answers of the probe in a row, and the bake.
        return super().config_text("successes = 4\n").replace("version = 1\n", 'version = 1\nbake = "700ms"\n', 1)

    def explained(self, *flags):
        return self.agent("explain", "--root", self.host(), "--json", *flags).last_json()["services"]

    def last(self):
        (service,) = self.explained("--service", "web")
        self.assertEqual(service["service"], "web")
        return service["installations"][-1]

    def text(self):
        return self.agent("explain", "--root", self.host()).out

    def assert_parts(self, found, *more):
        # What took less than a millisecond is not named; a small tree is built in that.
        self.assertLessEqual(FETCHED - {"build"} | set(more), set(found["ms"]), found)
        self.assertEqual(sum(found["ms"].values()), found["total_ms"])

    def test_an_installation_by_hand(self):
        begin = time.monotonic()
        self.install("1.0", self.seeder.url)
        took_ms = (time.monotonic() - begin) * 1e3
        found = self.last()
        self.assertEqual((found["artifact"], found["outcome"]), ("web@1.0", "installed"))
        self.assert_parts(found)
        self.assertLessEqual(found["total_ms"], took_ms)
        self.assertGreater(found["fetched_bytes"], 300_000)
        self.assertIn("peers", found["ms"], "somebody had to send the first byte")
        said = self.text()
        for word in ("web: web@1.0: installed", "verify", "metadata"):
            self.assertIn(word, said)
        self.install("1.1", self.seeder.url)
        self.assertEqual(self.last()["artifact"], "web@1.1")
        self.agent("explain", "--root", self.host(), "--service", "other", status=NOT_FOUND)

    def test_nothing_is_known_of_an_empty_host(self):
        self.assertEqual(self.explained(), [])
        self.assertIn("nothing is known", self.text())

    def test_the_daemon_knows_every_step_and_so_does_the_disk_without_it(self):
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        self.want("1.0", stage=["1.1"])
        deadline = time.monotonic() + PATIENCE_S
        while not self.status()["staged"] and time.monotonic() < deadline:
            time.sleep(0.02)
        self.want("1.1")
        self.wait_healthy(daemon, "1.1")
        with_daemon = self.explained()
        ahead, found = with_daemon[0]["installations"]
        self.assertEqual((ahead["artifact"], ahead["ahead"], ahead["outcome"]), ("web@1.1", True, "staged"))
        self.assert_parts(ahead)
        self.assertEqual((found["artifact"], found["ahead"], found["outcome"]), ("web@1.1", False, "healthy"))
        self.assertGreaterEqual(found["ms"]["bake"], 700)
        self.assertGreaterEqual(found["ms"]["probe"], 300)
        self.assertGreater(found["ms"]["hook"], 0)
        self.assertNotIn("transfer", found["ms"])
        self.assertEqual(self.status()["installation"]["total_ms"], found["total_ms"])
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        self.assertEqual(self.explained(), with_daemon)

    def test_with_the_installer_its_phases_count(self):
        socket_path = self.home / "installer.sock"
        args = [BIN / "slipway-installer", "--root", self.host(), "--socket", socket_path]
        Process(self, [*args, "--trust", self.trust, "--agent-uid", os.getuid()]).line("ready")
        self.config.write_text(f'installer = "{socket_path}"\n' + self.config_text())
        self.want("1.0")
        self.wait_healthy(self.daemon(), "1.0")
        self.assert_parts(self.last(), "switch", "bake")

    def test_while_nothing_comes_it_says_what_is_waited_for(self):
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        self.seeder.end()
        self.want("1.1")
        self.wait_for(daemon, state="staging", tries=1)
        found = self.last()
        self.assertEqual((found["artifact"], found["outcome"], found["failed_tries"]), ("web@1.1", "", 1))
        self.assertIn(str(self.seeder.url), found["why"])
        # It goes on under the next daemon, and the time between counts.
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        self.wait_for(self.daemon(), state="staging")
        self.assertEqual(self.last()["artifact"], "web@1.1")
        self.assertIn("goes on", self.text())

    def test_a_release_that_is_bad_says_why_it_was_left(self):
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        self.want("bad")
        self.wait_for(daemon, state="rolled-back", step=None)
        found = self.last()
        self.assertEqual((found["artifact"], found["outcome"]), ("web@bad", "rolled-back"))
        self.assertIn("probe", found["why"])
        self.assertGreaterEqual(found["ms"]["probe"], 400, "of both releases")


if __name__ == "__main__":
    main()
