#!/usr/bin/env python3
"""slipway-agent run: packs are shared for good, within limits and a quota, whatever happens to their files."""

import contextlib
import ctypes
import functools
import os
import re
import signal
import socket
import time
from pathlib import Path

from daemon_case import PATIENCE_S, DaemonCase
from harness import FileServer, main, write

DATA_BYTES = 600_000


class Packs(DaemonCase):
    """Releases that have nothing in common: each is a pack of its own."""

    def setUp(self):
        super().setUp()
        for version in ("3.0", "3.1", "3.2"):
            tree = self.home / f"tree-{version}"
            write(tree / "probe", f"#!/bin/sh\n# {os.urandom(8).hex()}\nexit 0\n", 0o755)
            write(tree / "restart", f"#!/bin/sh\necho {version} >> {self.restarts}\n", 0o755)
            write(tree / "data", os.urandom(DATA_BYTES))
            self.trees[version] = tree
            self.publish(version, tree)

    def configure(self, more):
        """Keys of the top level come before the first table."""
        write(self.config, self.config_text().replace("[services.web.run]\n", f"{more}\n[services.web.run]\n", 1))

    def packs(self):
        return {path.name for path in (self.host() / "packs").iterdir() if not path.suffix}

    def packs_told(self):
        """Nothing is shared as far as a daemon says that is yet to begin."""
        try:
            return self.told()["packs"]
        except (OSError, ValueError):
            return {"shared": 0, "evicted": 0}

    def wait_packs(self, daemon, holds):
        deadline = time.monotonic() + PATIENCE_S
        while not holds(told := self.packs_told()):
            self.assertLess(time.monotonic(), deadline, f"{told}\n{daemon.errors()}")
            time.sleep(0.02)
        return told

    def test_what_was_fetched_is_shared_on_and_again_after_a_restart(self):
        self.want("3.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "3.0")
        told = self.wait_packs(daemon, lambda told: told["shared"] > 0)
        self.assertGreaterEqual(told["downloaded_bytes"], DATA_BYTES)
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        daemon = self.daemon()
        told = self.wait_packs(daemon, lambda told: told["shared"] > 0)
        self.assertEqual(told["downloaded_bytes"], 0, "sharing fetches nothing")

    def test_limits_of_a_window_slow_a_transfer_down(self):
        rate = 200_000
        self.configure(f'[limits]\ndownload_bytes_per_s = "{10 * rate}"\n[limits.windows.always]\n'
                       f'from = "00:00"\nto = "24:00"\ndownload_bytes_per_s = "{rate}"')
        self.want("3.0")
        started = time.monotonic()
        daemon = self.daemon()
        self.wait_healthy(daemon, "3.0")
        self.assertGreater(time.monotonic() - started, DATA_BYTES / rate / 2)
        told = self.told()["packs"]
        self.assertEqual(told["download_bytes_per_s_max"], rate)
        self.assertEqual(told["upload_bytes_per_s_max"], 0)

    def test_a_plain_web_server_is_limited_as_well(self):
        rate = 200_000
        web = FileServer(self, self.repo)
        self.config.write_text(self.config_text().replace(self.seeder.url, web.url).replace(
            "[services.web.run]\n", f'[limits]\ndownload_bytes_per_s = "{rate}"\n[services.web.run]\n', 1))
        self.want("3.0")
        daemon = self.daemon()
        self.wait_works_at_low_priority(daemon.process.pid)
        self.wait_healthy(daemon, "3.0")
        (service,) = self.agent("explain", "--root", self.host(), "--json").last_json()["services"]
        found = service["installations"][-1]
        took_s = sum(found["ms"].get(part, 0) for part in ("transfer", "peers")) / 1000
        self.assertGreater(took_s, DATA_BYTES / rate * 0.8)
        self.assertLess(took_s, DATA_BYTES / rate * 4)

    def wait_works_at_low_priority(self, pid):
        """Until a thread has nice 10 and the lowest best-effort priority for the disk: ioprio_set(2), class 2, level 7."""
        ioprio_get = functools.partial(ctypes.CDLL(None).syscall, {"x86_64": 252, "aarch64": 31}[os.uname().machine], 1)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            seen = set()
            for task in list(Path(f"/proc/{pid}/task").iterdir()):
                with contextlib.suppress(OSError):
                    nice = int((task / "stat").read_text().rsplit(")", 1)[1].split()[16])
                    seen.add((nice, ioprio_get(int(task.name))))
            if (10, 2 << 13 | 7) in seen:
                # The loop that decides is not slowed.
                self.assertEqual(int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[16]), os.nice(0))
                return
            self.assertLess(time.monotonic(), deadline, seen)
            time.sleep(0.02)

    def test_the_quota_takes_what_no_release_needs_and_nothing_else(self):
        self.configure('[limits]\npacks_bytes = "1K"')
        self.want("3.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "3.0")
        first = self.packs()
        self.assertTrue(first)
        self.want("3.1")
        self.wait_healthy(daemon, "3.1")
        second = self.packs() - first
        self.want("3.1", stage=["3.2"])
        self.wait_for(daemon, staged=[self.staged("3.2")])
        third = self.packs() - second - first
        # 3.0 is previous, 3.1 current, 3.2 staged: all stay although the quota is not kept.
        self.assertEqual(self.packs(), first | second | third)
        self.want("3.2")
        self.wait_healthy(daemon, "3.2")
        self.want("3.2", stage=["1.0"])  # The quota is looked at when something was fetched.
        self.wait_packs(daemon, lambda told: told["evicted"] > 0)
        self.assertLessEqual(second | third, self.packs())
        self.assertFalse(first & self.packs())

    def staged(self, version):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for one in self.status()["staged"]:
                if one["artifact"] == f"web@{version}":
                    return one
            time.sleep(0.02)
        self.fail(f"{version} is not staged: {self.status()}")

    def test_packs_that_somebody_removed_are_fetched_again(self):
        self.want("3.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "3.0")
        for path in (self.host() / "packs").iterdir():
            path.unlink()
        self.agent("rollback", "--root", self.host(), "--service", "web", status=None)
        for version in ("3.1", "3.2"):
            self.want(version)
            self.wait_healthy(daemon, version)
            self.assert_runs(self.trees[version])

    def scrape(self, family, address):
        with socket.socket(family) as caller:
            caller.settimeout(PATIENCE_S)
            caller.connect(address)
            caller.sendall(b"GET /metrics HTTP/1.1\r\nHost: agent\r\n\r\n")
            answer = b""
            while part := caller.recv(65536):
                answer += part
        head, _, body = answer.decode().partition("\r\n\r\n")
        self.assertIn("200 OK", head)
        self.assertIn(f"Content-Length: {len(body)}", head)
        return body.splitlines()

    def test_status_is_answered_by_the_daemon(self):
        self.want("3.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "3.0")
        self.want("3.0", stage=["3.1"])
        self.staged("3.1")
        told = self.agent("status", "--root", self.host(), "--json").last_json()
        self.assertEqual(told["daemon"]["services"]["web"]["state"], "healthy")
        self.assertEqual(told["services"][0]["current"]["artifact"], "web@3.0")
        text = self.agent("status", "--root", self.host()).out
        self.assertIn("web: healthy, wanted is web@3.0", text)
        self.assertIn("staged web@3.1", text)
        self.assertRegex(text, r"shares \d+ packs with \d+ peers")
        daemon.end()
        told = self.agent("status", "--root", self.host(), "--json").last_json()
        self.assertIsNone(told["daemon"])

    def test_metrics_are_told_on_a_unix_socket_and_an_address(self):
        self.config.write_text('metrics = "127.0.0.1:0"\n' + self.config_text())
        self.want("3.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "3.0")
        expected = 'slipway_agent_service_state{service="web",state="healthy"} 1'
        deadline = time.monotonic() + PATIENCE_S
        while expected not in (lines := self.scrape(socket.AF_UNIX, str(self.host() / "metrics.sock"))):
            self.assertLess(time.monotonic(), deadline, lines)
            time.sleep(0.05)
        received = [line for line in lines if line.startswith("slipway_agent_received_bytes_total ")]
        self.assertGreaterEqual(int(received[0].split()[1]), DATA_BYTES)
        port = int(re.search(r'metrics.listening port="(\d+)"', daemon.errors())[1])
        self.assertIn(expected, self.scrape(socket.AF_INET, ("127.0.0.1", port)))


if __name__ == "__main__":
    main()
