#!/usr/bin/env python3
"""What slipway-agent run tells the service manager, and what it does when that sends SIGHUP."""

import json
import os
import queue
import re
import resource
import signal
import socket
import threading
import time

from daemon_case import PATIENCE_S, DaemonCase
from harness import BIN, Process, main

QUIET_S = 5  # Longer than two turns of the loop.


class Manager(DaemonCase):
    def setUp(self):
        super().setUp()
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(str(self.home / "notify"))
        self.told_things = queue.SimpleQueue()
        reader = threading.Thread(target=self.read_from, args=(manager,))
        reader.start()
        self.addCleanup(manager.close)
        self.addCleanup(reader.join)
        self.addCleanup(self.end_reading)
        self.want("1.0")

    def read_from(self, manager):
        """As a service manager does: at once. A queue that is full would hold the daemon."""
        while (told := manager.recv(4096)) != b"END":
            self.told_things.put(told.decode())

    def end_reading(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"END", str(self.home / "notify"))

    def start(self, **options):
        self.managed = self.daemon(env={**os.environ, "NOTIFY_SOCKET": str(self.home / "notify")}, **options)
        return self.managed

    def told_within(self, seconds):
        """The next thing that is told, or nothing."""
        try:
            return self.told_things.get(timeout=max(0.001, seconds))
        except queue.Empty:
            return None

    def wait_told(self, pattern):
        """Until something is told that matches; and what was told before it."""
        deadline = time.monotonic() + PATIENCE_S
        before = []
        while (told := self.told_within(deadline - time.monotonic())) is not None:
            if found := re.fullmatch(pattern, told):
                return found, before
            before.append(told)
        self.fail(f"never told {pattern}: {before}\n{self.managed.errors()}")

    def drain(self):
        while self.told_within(0):
            pass

    def wait_logged(self, text):
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.managed.errors():
            self.assertLess(time.monotonic(), deadline, self.managed.errors())
            time.sleep(0.02)

    def test_ready_status_watchdog_and_stopping(self):
        daemon = self.start()
        self.assertEqual(self.told_within(PATIENCE_S), "READY=1")
        self.wait_told(r"STATUS=web (staging|switching|probing)")  # What it is at when it looks.
        self.wait_told(r"STATUS=web healthy \(web@1\.0\)")
        for _ in range(2):
            self.wait_told("WATCHDOG=1")
        self.seeder.end()
        self.want("1.1")
        self.wait_told(r"STATUS=web staging \(web@1\.0\) \(failed tries: 1\)")
        daemon.signal(signal.SIGTERM)
        self.wait_told("STOPPING=1")
        self.assertEqual(daemon.wait(), 0)

    def test_a_journal_that_takes_nothing_is_not_alive(self):
        daemon = self.start(restore_signals=False)  # Python ignores SIGXFSZ; so does the daemon.
        self.wait_healthy(daemon, "1.0")
        whole = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (0, whole[1]))
        self.want("1.1")
        deadline, quiet = time.monotonic() + PATIENCE_S, time.monotonic()
        while time.monotonic() < quiet + QUIET_S:  # Its log is a file as well, and takes nothing either.
            if self.told_within(0.1) == "WATCHDOG=1":
                quiet = time.monotonic()
            self.assertLess(quiet, deadline)
        self.assertEqual(self.status()["running"]["artifact"], "web@1.0", "it answers all the same")
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, whole)
        self.wait_told("WATCHDOG=1")
        self.wait_healthy(daemon, "1.1")

    def test_a_hangup_changes_what_can_change_and_tells_the_rest(self):
        daemon = self.start()
        self.wait_healthy(daemon, "1.0")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        text = self.config_text('successes = 2\n[limits]\ndownload_bytes_per_s = "5M"\npacks_bytes = "1G"\n')
        self.config.write_text('listen = "127.0.0.1:0"\npatience_s = 7\n' + text)
        self.drain()
        daemon.signal(signal.SIGHUP)
        found, told = self.wait_told(r"RELOADING=1\nMONOTONIC_USEC=(\d+)")
        self.assertGreaterEqual(int(found[1]), before)
        _, told = self.wait_told("READY=1")
        self.assertEqual(told, [])
        self.wait_logged('config.needs_restart key="patience_s"')
        said = daemon.errors()
        self.assertIn('config.reloaded limits="changed" services="web"', said)
        self.assertIn('config.needs_restart key="listen"', said)
        self.assertNotIn('key="root"', said)
        self.assertEqual(self.told()["packs"]["download_bytes_per_s_max"], 5 << 20)
        self.assertEqual(self.restarted(), ["1.0"], "what runs is not touched")
        # How a service runs counts from the next step on.
        self.config.write_text(self.config_text().replace('argv = ["probe"]', 'argv = ["no-such-probe"]'))
        daemon.signal(signal.SIGHUP)
        self.wait_told("READY=1")
        self.want("1.1")
        status = self.wait_for(daemon, state="failed")
        self.assertIn("no-such-probe", status["last_error"])

    def test_a_configuration_that_is_wrong_changes_nothing(self):
        daemon = self.start()
        self.wait_healthy(daemon, "1.0")
        self.drain()
        self.config.write_text(self.config_text() + "\nintervall = 1\n")
        daemon.signal(signal.SIGHUP)
        self.wait_told(r"RELOADING=1\n.*")
        self.wait_told("READY=1")
        self.wait_logged("config.refused")
        self.assertIn("intervall", daemon.errors())
        self.want("1.1")
        self.wait_healthy(daemon, "1.1")

    def test_a_hangup_ends_other_commands(self):
        self.install("1.0", self.seeder.url)
        self.assertEqual(json.loads(self.agent("status", "--root", self.host(), "--json").out)["daemon"], None)
        args = self.install_args("1.1", [self.seeder.url])
        share = Process(self, [BIN / "slipway-agent", *args, "--share", "60"])
        share.line('"event":"installed"')
        share.signal(signal.SIGHUP)
        self.assertEqual(share.wait(), 0)


if __name__ == "__main__":
    main()
