#!/usr/bin/env python3
"""The main job: publish, share, install, upgrade, roll back."""

import os
import shutil
import signal
import subprocess
import time
import unittest

from harness import (
    DONE, FAILED, NOT_FOUND, USAGE, VERIFICATION_FAILED, Case, FileServer, Process, Seeder, BIN,
    main, noise, snapshot, write,
)


class Install(Case):
    def setUp(self):
        super().setUp()
        self.init_repo()
        self.trees = {v: self.tree(v) for v in ("1.0", "1.1", "1.2")}
        self.publish("1.0", self.trees["1.0"])

    def test_first_install_is_the_tree_that_was_published(self):
        seeder = Seeder(self, self.repo)
        result = self.install("1.0", seeder.url).last_json()
        self.assert_runs(self.trees["1.0"])
        self.assertGreater(result["fetched_bytes"], 0)
        run = self.current() / "bin/run"
        self.assertEqual(subprocess.check_output([run]), b"version 1.0\n")
        self.assertEqual(os.stat(run).st_ino, os.stat(self.current() / "bin/run-too").st_ino)
        self.assertEqual(os.stat(self.current()).st_mode & 0o222, 0)
        self.assert_tidy()

    def test_the_same_again_is_done_at_once(self):
        seeder = Seeder(self, self.repo)
        self.install("1.0", seeder.url)
        before = self.host_state()
        result = self.install("1.0", seeder.url).last_json()
        self.assertTrue(result["was_current"])
        self.assertEqual(result["fetched_bytes"], 0)
        self.assertEqual(self.host_state(), before)

    def test_an_upgrade_moves_only_what_changed(self):
        seeder = Seeder(self, self.repo)
        first = self.install("1.0", seeder.url).last_json()
        self.publish("1.1", self.trees["1.1"])
        second = self.install("1.1", seeder.url).last_json()
        self.assert_runs(self.trees["1.1"])
        self.assertLess(second["fetched_bytes"], first["fetched_bytes"] / 4)
        self.assertGreaterEqual(second["linked_files"], 20)
        new = os.stat(self.current() / "lib/module3.txt")
        self.assertEqual(new.st_nlink, 2)

    def test_versions_may_be_skipped(self):
        seeder = Seeder(self, self.repo)
        first = self.install("1.0", seeder.url).last_json()
        self.publish("1.1", self.trees["1.1"])
        self.publish("1.2", self.trees["1.2"])
        third = self.install("1.2", seeder.url).last_json()
        self.assert_runs(self.trees["1.2"])
        self.assertLess(third["fetched_bytes"], first["fetched_bytes"] / 2)

    def test_rollback_is_back_in_a_second_without_a_network(self):
        seeder = Seeder(self, self.repo)
        self.install("1.0", seeder.url)
        self.publish("1.1", self.trees["1.1"])
        self.install("1.1", seeder.url)
        seeder.end()
        outcome = self.agent("rollback", "--root", self.host(), "--service", "web")
        self.assertLess(outcome.seconds, 1)
        self.assert_runs(self.trees["1.0"])
        again = self.agent("rollback", "--root", self.host(), status=NOT_FOUND)
        self.assertIn("no previous release", again.err)
        self.assert_runs(self.trees["1.0"])

    def test_rollback_of_what_was_never_installed_says_so(self):
        outcome = self.agent(
            "rollback", "--root", self.host(), "--service", "web", status=NOT_FOUND
        )
        self.assertIn("service web", outcome.err)

    def test_what_was_rolled_back_is_installed_again_without_fetching(self):
        self.publish("1.1", self.trees["1.1"])
        self.install("1.0", self.repo)
        self.install("1.1", self.repo)
        self.agent("rollback", "--root", self.host())
        result = self.install("1.1", self.repo).last_json()
        self.assertEqual(result["fetched_bytes"], 0)
        self.assert_runs(self.trees["1.1"])

    def test_a_second_host_gets_the_data_from_the_first(self):
        seeder = Seeder(self, self.repo)
        sharing = Process(
            self,
            [BIN / "slipway-agent", *self.install_args("1.0", seeder.url, self.host("a"))]
            + ["--share", "60"],
        )
        sharing.line('"event":"installed"', 30)
        result = self.install("1.0", seeder.url, self.host("b")).last_json()
        self.assert_runs(self.trees["1.0"], self.host("b"))
        self.assertGreater(result["fetched_bytes"], 0)
        sharing.signal(signal.SIGTERM)
        self.assertEqual(sharing.wait(10), DONE)

    def test_a_plain_web_server_is_enough(self):
        server = FileServer(self, self.repo)
        self.install("1.0", server.url)
        self.assert_runs(self.trees["1.0"])

    @unittest.skipUnless(shutil.which("nginx"), "nginx is not installed")
    def test_nginx_is_enough(self):
        port = 20_000 + os.getpid() % 20_000
        config = write(
            self.home / "nginx.conf",
            f"daemon off; pid {self.home}/nginx.pid; error_log {self.home}/nginx.log;\n"
            f"events {{}} http {{ access_log off;\n"
            + "".join(
                f"{kind}_temp_path {self.home}/nginx-{kind};\n"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            + f"server {{ listen 127.0.0.1:{port}; root {self.repo}; }} }}\n",
        )
        os.chmod(self.home, 0o755)
        Process(self, [shutil.which("nginx"), "-p", self.home, "-c", config])
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.install(
                "1.0", f"http://127.0.0.1:{port}", status=None
            ).status == DONE:
                break
        self.assert_runs(self.trees["1.0"])

    def test_a_directory_is_a_seeder(self):
        self.install("1.0", self.repo)
        self.assert_runs(self.trees["1.0"])
        self.install("1.0", f"file://{self.repo}", self.host("b"))
        self.assert_runs(self.trees["1.0"], self.host("b"))

    def test_a_dead_seeder_is_passed_over(self):
        seeder = Seeder(self, self.repo)
        outcome = self.install("1.0", ["http://127.0.0.1:9", seeder.url])
        self.assertIn("127.0.0.1:9", outcome.out)
        self.assert_runs(self.trees["1.0"])

    def test_names_that_do_not_exist(self):
        self.assertIn("web@7", self.install("7", self.repo, status=NOT_FOUND).err)
        self.install("1.0", self.repo, service="../x", status=USAGE)
        self.agent("install", "web", "--service", "web", "--seeder", "x", status=USAGE)
        self.agent("explode", status=USAGE)

    def test_status_and_releases_tell_what_is_there(self):
        self.publish("1.1", self.trees["1.1"])
        self.install("1.0", self.repo)
        self.install("1.1", self.repo)
        status = self.agent("status", "--root", self.host(), "--json").last_json()
        (web,) = status["services"]
        self.assertEqual(web["current"]["artifact"], "web@1.1")
        self.assertEqual(web["previous"]["artifact"], "web@1.0")
        listed = self.agent("releases", "--root", self.host(), "--json").last_json()["releases"]
        self.assertEqual([r["artifact"] for r in listed], ["web@1.0", "web@1.1"])
        self.assertIn("web@1.1", self.agent("status", "--root", self.host()).out)

    def test_gc_keeps_what_a_rollback_needs(self):
        self.publish("1.1", self.trees["1.1"])
        self.publish("1.2", self.trees["1.2"])
        for version in ("1.0", "1.1", "1.2"):
            self.install(version, self.repo)
        dry = self.agent("gc", "--root", self.host(), "--dry-run", "--json").last_json()
        self.assertEqual(len(self.host_state()[1]), 3)
        wet = self.agent("gc", "--root", self.host(), "--json").last_json()
        self.assertEqual(
            [one["what"] for one in dry["removed"]], [one["what"] for one in wet["removed"]]
        )
        self.assertEqual(len(self.host_state()[1]), 2)
        self.agent("rollback", "--root", self.host())
        self.assert_runs(self.trees["1.1"])
        self.agent("gc", "--root", self.host())
        self.agent("verify", "--root", self.host(), "--all")

    def test_two_services_share_packs(self):
        self.install("1.0", self.repo)
        other = self.install("1.0", self.repo, service="other").last_json()
        self.assertEqual(other["fetched_bytes"], 0)
        self.assert_runs(self.trees["1.0"], service="other")


if __name__ == "__main__":
    main()
