#!/usr/bin/env python3
"""slipway-agent run: from a desired state in a file to healthy services, whatever happens to it."""

import os
import signal
import time

from daemon_case import PATIENCE_S, DaemonCase
from harness import BIN, FAILED, USAGE, Process, main, write


class Daemon(DaemonCase):
    def test_what_the_file_wants_is_installed_and_upgraded(self):
        self.want("1.0")
        daemon = self.daemon()
        status = self.wait_healthy(daemon, "1.0")
        self.assertEqual(status["running"]["artifact"], "web@1.0")
        self.assert_runs(self.trees["1.0"])
        self.want("1.1")
        self.wait_healthy(daemon, "1.1")
        self.assert_runs(self.trees["1.1"])
        self.assertEqual(self.restarted(), ["1.0", "1.1"])
        self.assert_tidy()

    def test_the_installer_builds_and_switches_where_there_is_one(self):
        socket_path = self.home / "installer.sock"
        args = [BIN / "slipway-installer", "--root", self.host(), "--socket", socket_path]
        installer = Process(self, [*args, "--trust", self.trust, "--agent-uid", os.getuid()])
        installer.line("ready")
        self.config.write_text(f'installer = "{socket_path}"\n' + self.config_text())
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        self.assert_runs(self.trees["1.0"])
        self.want("bad")
        self.wait_for(daemon, state="rolled-back")
        self.assert_runs(self.trees["1.0"])
        # Nothing goes on without it, and it is asked again when it is back.
        installer.end()
        self.want("1.1")
        deadline = time.monotonic() + PATIENCE_S
        while "slipway-installer at" not in (self.status()["last_error"] or ""):
            self.assertLess(time.monotonic(), deadline, self.status())
            time.sleep(0.02)
        self.assert_runs(self.trees["1.0"])
        installer = Process(self, [*args, "--agent-uid", os.getuid()])
        self.wait_healthy(daemon, "1.1")
        self.assert_runs(self.trees["1.1"])
        self.want("1.0")
        self.wait_healthy(daemon, "1.0")
        self.assertFalse((self.host() / "services/web/previous").is_symlink(), "a way back forgets what came after")

    def test_staging_does_not_touch_what_runs(self):
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        before = self.host_state()[0]
        self.want("1.0", stage=["1.1", "1.2"])
        deadline = time.monotonic() + PATIENCE_S
        while len(self.status()["staged"]) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        status = self.status()
        self.assertEqual([one["artifact"] for one in status["staged"]], ["web@1.1", "web@1.2"])
        self.assertEqual(status["state"], "healthy")
        self.assertEqual(self.host_state()[0], before)
        self.assertEqual(self.restarted(), ["1.0"])
        # What is staged, and what ran before, needs no seeder.
        self.seeder.end()
        self.want("1.2")
        self.wait_healthy(daemon, "1.2")
        self.want("1.0")
        self.wait_healthy(daemon, "1.0")
        self.assert_runs(self.trees["1.0"])

    def test_a_bad_release_is_left_by_itself_and_not_tried_again(self):
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        self.want("bad")
        status = self.wait_for(daemon, state="rolled-back")
        self.assert_runs(self.trees["1.0"])
        self.assertEqual(self.restarted(), ["1.0", "bad", "1.0"])
        self.assertEqual([one["artifact"] for one in status["quarantine"]], ["web@bad"])
        self.assertIn("probe", status["last_error"])
        # Neither by the same order, nor a repeated one, nor after a restart of the daemon.
        self.want("bad")
        self.wait_for(daemon, epoch=self.epoch)
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        daemon = self.daemon()
        self.wait_for(daemon, state="rolled-back")
        self.assertEqual(self.restarted(), ["1.0", "bad", "1.0"])
        # A higher attempt is the order to try again: it is tried once.
        self.want("bad", attempt=1)
        self.wait_for(daemon, state="rolled-back", epoch=self.epoch, step=None)
        self.assertEqual(self.restarted(), ["1.0", "bad", "1.0", "bad", "1.0"])
        self.want("1.1")
        self.wait_healthy(daemon, "1.1")

    def test_a_first_release_that_is_bad_fails_with_its_reason(self):
        self.want("bad")
        daemon = self.daemon()
        status = self.wait_for(daemon, state="failed")
        self.assertIn("no earlier release", status["last_error"])
        self.want("1.0")
        self.wait_healthy(daemon, "1.0")

    def test_killed_at_any_time_it_goes_on(self):
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        versions = ["1.1", "1.2", "1.0"]
        for round_number in range(12):
            version = versions[round_number % 3]
            self.want(version)
            time.sleep(0.012 * round_number)  # The points of time are what this test varies.
            daemon.signal(signal.SIGKILL)
            daemon.wait()
            daemon = self.daemon()
            self.wait_healthy(daemon, version)
            self.assert_runs(self.trees[version])
            self.assert_tidy()

    def test_an_older_epoch_is_refused(self):
        self.want("1.0", epoch=5)
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        self.want("1.1", epoch=4)
        self.want("1.1", epoch=6)
        self.wait_healthy(daemon, "1.1")
        self.want("1.0", epoch=5)
        self.want("1.1", stage=["1.2"], epoch=7)
        self.wait_for(daemon, epoch=7)
        self.assertEqual(self.restarted(), ["1.0", "1.1"])

    def test_a_seeder_that_is_gone_changes_nothing(self):
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        self.seeder.end()
        self.want("1.1")
        status = self.wait_for(daemon, state="staging", tries=1)
        self.assertTrue(status["last_error"])
        self.assertGreater(status["waits_ms"], 0)
        self.assert_runs(self.trees["1.0"])
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)
        self.assertEqual(self.restarted(), ["1.0"])

    def test_a_broken_desired_file_changes_nothing(self):
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        write(self.desired, '{"version": 1, "epoch": 9, "services": {"web": []}}')
        deadline = time.monotonic() + PATIENCE_S
        while "desired.unreadable" not in daemon.errors() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertIn("services.web", daemon.errors())
        self.assertEqual(self.status()["state"], "healthy")
        self.desired.unlink()
        self.want("1.1", epoch=10)
        self.wait_healthy(daemon, "1.1")

    def test_a_rollback_by_hand_is_respected(self):
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        self.want("1.1")
        self.wait_healthy(daemon, "1.1")
        self.agent("rollback", "--root", self.host(), "--service", "web")
        status = self.wait_for(daemon, state="rolled-back")
        self.assertEqual(status["running"]["artifact"], "web@1.0")
        self.assertIn("by hand", status["last_error"])
        self.assert_runs(self.trees["1.0"])

    def test_a_manual_install_is_taken_over(self):
        self.install("1.0", self.seeder.url)
        self.want("bad")
        daemon = self.daemon()
        self.wait_for(daemon, state="rolled-back")
        self.assert_runs(self.trees["1.0"])

    def test_a_damaged_journal_is_told_and_stops_nothing(self):
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        daemon.end()
        journal = self.host() / "journal"
        damaged = bytearray(journal.read_bytes())
        damaged[3] ^= 1
        journal.write_bytes(damaged)
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        self.assertIn("journal.damaged", daemon.errors())
        self.assertTrue((self.host() / "journal.damaged").exists())
        self.assert_runs(self.trees["1.0"])

    def test_old_releases_go_by_themselves_and_none_that_is_needed(self):
        self.config.write_text(self.config_text("[limits]\nreleases = 0\n"))
        daemon = self.daemon()
        for version in ("1.0", "1.1"):
            self.want(version)
            self.wait_healthy(daemon, version)
        self.want("1.1", stage=["1.2"])
        deadline = time.monotonic() + PATIENCE_S
        while not self.status()["staged"]:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        self.assert_kept("1.0", "1.1", "1.2")  # Previous, current, and staged.
        self.want("1.2")
        self.wait_healthy(daemon, "1.2")
        self.assert_kept("1.1", "1.2")
        self.assertIn('releases.removed service="web" count="1"', daemon.errors())
        self.agent("rollback", "--root", self.host(), "--service", "web")
        self.assert_runs(self.trees["1.1"])

    def assert_kept(self, *versions):
        """In the end, and for two looks of the daemon."""
        releases = self.host() / "services/web/releases"
        begun = right_since = time.monotonic()
        while time.monotonic() < right_since + 5:
            found = tuple(sorted(name.split("-")[0] for name in os.listdir(releases)))
            if found != versions:
                right_since = time.monotonic()
                self.assertLess(right_since, begun + PATIENCE_S, found)
            time.sleep(0.05)

    def test_only_one_daemon_has_a_root(self):
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        second = self.agent("run", "--config", self.config, "--desired", self.desired, status=FAILED)
        self.assertIn("slipway-agent run", second.err)

    def test_a_misspelt_key_is_refused_with_its_line(self):
        write(self.config, self.config_text('intervall = "1s"'))
        refused = self.agent("run", "--config", self.config, status=USAGE)
        self.assertIn("intervall", refused.err)


if __name__ == "__main__":
    main()
