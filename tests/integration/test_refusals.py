#!/usr/bin/env python3
"""Bad input: a clear error that names what is bad, and nothing changed."""

import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from harness import (
    DONE, FAILED, NOT_FOUND, USAGE, VERIFICATION_FAILED, BIN, Case, FileServer, Process, Seeder,
    main, noise, remove_tree, write,
)


class Refusals(Case):
    def setUp(self):
        super().setUp()
        self.init_repo()
        self.old = self.tree("1.0")
        self.new = self.tree("1.1")
        self.publish("1.0", self.old)
        self.install("1.0", self.repo)
        self.publish("1.1", self.new)
        self.before = self.host_state()
        self.fresh = self.home / "fresh"
        subprocess.run(["cp", "-a", self.host(), self.fresh], check=True)

    def reset(self):
        """The host as it was: what it fetched in a subtest would serve the next one."""
        remove_tree(self.host())
        subprocess.run(["cp", "-a", self.fresh, self.host()], check=True)

    def assert_refused(self, seeder, statuses, *names):
        outcome = self.install("1.1", seeder, None, "--patience", "5", status=None)
        self.assertIn(outcome.status, statuses, str(outcome))
        self.assertTrue(outcome.err.startswith("slipway-agent: ") or outcome.err, str(outcome))
        for name in names:
            self.assertIn(name, outcome.err)
        self.assertEqual(self.host_state(), self.before, str(outcome))
        self.assert_runs(self.old)
        return outcome

    def files(self, pattern):
        found = sorted(self.repo.glob(pattern))
        self.assertTrue(found, pattern)
        return found

    def flip(self, path, at=None):
        body = bytearray(path.read_bytes())
        at = len(body) // 2 if at is None else at
        body[at] ^= 0x20
        path.write_bytes(body)

    def test_flipped_bytes_in_the_repository(self):
        for pattern in (
            "targets/web/1.1/*manifest.json",
            "targets/web/1.1/*packmap",
            "metadata/timestamp.json",
            "metadata/*snapshot.json",
            "metadata/*targets.json",
            "packs/*.torrent",
        ):
            with self.subTest(pattern):
                saved = {path: path.read_bytes() for path in self.files(pattern)}
                self.reset()
                for path in saved:
                    self.flip(path)
                self.assert_refused(self.repo, {VERIFICATION_FAILED})
                for path, body in saved.items():
                    path.write_bytes(body)
        self.install("1.1", self.repo)
        self.assert_runs(self.new)

    def test_flipped_byte_in_every_pack(self):
        for seeder in ("directory", "web server", "seeder"):
            with self.subTest(seeder):
                self.reset()
                packs = [p for p in self.files("packs/*") if p.suffix != ".torrent"]
                saved = {path: path.read_bytes() for path in packs}
                if seeder == "seeder":
                    running = Seeder(self, self.repo)
                for path, body in saved.items():
                    step = max(1, len(body) // 50)
                    damaged = bytearray(body)
                    for at in range(step // 2, len(body), step):
                        damaged[at] ^= 1
                    path.write_bytes(damaged)
                if seeder == "directory":
                    self.assert_refused(self.repo, {VERIFICATION_FAILED})
                elif seeder == "web server":
                    server = FileServer(self, self.repo)
                    self.assert_refused(server.url, {VERIFICATION_FAILED, FAILED})
                else:
                    self.assert_refused(running.url, {VERIFICATION_FAILED, FAILED})
                    running.end()
                for path, body in saved.items():
                    path.write_bytes(body)
        self.install("1.1", self.repo)
        self.assert_runs(self.new)

    def test_truncated_files(self):
        for pattern in ("targets/web/1.1/*", "metadata/*", "packs/*"):
            for path in self.files(pattern):
                body = path.read_bytes()
                for length in (0, len(body) // 2, len(body) - 1):
                    path.write_bytes(body[:length])
                    outcome = self.install("1.1", self.repo, None, "--patience", "5", status=None)
                    # A file that this upgrade does not need may be damaged without harm.
                    if outcome.status != DONE:
                        self.assertEqual(self.host_state(), self.before, str(outcome))
                        self.assertIn(outcome.status, (VERIFICATION_FAILED, FAILED, NOT_FOUND))
                    self.reset()
                path.write_bytes(body)

    def test_a_server_of_garbage(self):
        kinds = {
            "nothing": lambda path, body: b"",
            "html": lambda path, body: b"<html>Sign in</html>" * 100,
            "endless": lambda path, body: b"a" * 20_000_000,
            "garbage packs": lambda path, body: noise(len(body), path)
            if path.startswith("packs/") and body and not path.endswith(".torrent")
            else body,
        }
        for kind, change in kinds.items():
            with self.subTest(kind):
                server = FileServer(self, self.repo, change)
                self.assert_refused(server.url, {VERIFICATION_FAILED, FAILED}, server.url)

    def test_no_server_at_all(self):
        outcome = self.assert_refused(["http://127.0.0.1:9", "http://127.0.0.1:10"], {FAILED})
        self.assertIn("127.0.0.1:9", outcome.err)
        self.assertIn("127.0.0.1:10", outcome.err)

    def test_a_bad_web_server_and_a_good_seeder(self):
        bad = FileServer(
            self,
            self.repo,
            lambda path, body: noise(len(body), path)
            if path.startswith("packs/") and body and not path.endswith(".torrent")
            else body,
        )
        good = Seeder(self, self.repo)
        self.install("1.1", [bad.url, good.url])
        self.assert_runs(self.new)

    def test_a_bad_directory_and_a_good_one(self):
        bad = self.home / "bad"
        shutil.copytree(self.repo, bad)
        for path in bad.glob("packs/*"):
            if path.suffix != ".torrent":
                self.flip(path)
                self.flip(path, 10)
                self.flip(path, -10)
        self.install("1.1", [bad, self.repo])
        self.assert_runs(self.new)

    def test_metadata_that_was_signed_with_other_keys(self):
        other = self.home / "other"
        self.slipway("repo", "init", "--repo", other)
        self.slipway("publish", "--repo", other, "web@1.1", self.new)
        self.assert_refused(other, {VERIFICATION_FAILED})

    def test_two_installs_of_one_service(self):
        lock = self.host() / "services/web/lock"
        holder = Process(self, ["flock", "--close", lock, "sleep", "30"])
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            outcome = self.install("1.1", self.repo, None, "--lock-timeout", "0", status=None)
            if outcome.status == FAILED:
                break
            self.agent("rollback", "--root", self.host(), status=None)
        self.assertEqual(outcome.status, FAILED, str(outcome))
        self.assertIn("lock", outcome.err)
        holder.end()
        both = [
            subprocess.Popen(
                [BIN / "slipway-agent", *map(str, self.install_args("1.1", self.repo))],
                stdout=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]
        self.assertEqual([one.wait(60) for one in both], [DONE, DONE])
        self.assert_runs(self.new)
        self.assert_tidy()

    def test_changed_installed_files_are_found_and_healed(self):
        path = self.current() / "lib/module3.txt"
        os.chmod(path, 0o644)
        body = bytearray(path.read_bytes())
        body[7] ^= 1
        path.write_bytes(body)
        os.chmod(path, 0o444)
        (self.current() / "extra").write_text("x") if os.geteuid() == 0 else None
        outcome = self.agent("verify", "--root", self.host(), status=VERIFICATION_FAILED)
        self.assertIn("lib/module3.txt content differs", outcome.out)
        if os.geteuid() == 0:
            self.assertIn("extra is not in the index", outcome.out)
        # An upgrade does not take over what is damaged.
        self.install("1.1", self.repo)
        self.assert_runs(self.new)
        self.agent("verify", "--root", self.host())
        # And installing the damaged release again makes it right.
        self.agent("rollback", "--root", self.host())
        self.agent("verify", "--root", self.host(), status=VERIFICATION_FAILED)
        self.install("1.0", self.repo)
        self.assert_runs(self.old)
        self.agent("verify", "--root", self.host(), "--all")
        self.assert_tidy()

    def test_a_rollback_to_a_damaged_release_can_be_refused(self):
        self.install("1.1", self.repo)
        path = self.host() / "services/web" / os.readlink(self.current()).replace("1.1", "1.1")
        old = next(p for p in (self.host() / "services/web/releases").iterdir() if p != path)
        file = old / "share/data"
        os.chmod(file, 0o644)
        file.write_bytes(b"short")
        self.agent("rollback", "--root", self.host(), "--verify", status=VERIFICATION_FAILED)
        self.assert_runs(self.new)

    @unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
    def test_a_full_disk(self):
        disk = self.home / "disk"
        disk.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], stderr=subprocess.PIPE
        )
        if mounted.returncode != 0:
            self.skipTest("tmpfs cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)])
        root = disk / "root"
        outcome = self.install("1.1", self.repo, root, status=FAILED)
        self.assertRegex(outcome.err, r"needs .* has .* available")
        self.assertFalse(os.path.lexists(self.current(root)))
        self.assertEqual([p for p in (root / "packs").iterdir() if p.stat().st_blocks > 2048], [])
        # A rollback needs next to nothing.
        subprocess.run(["mount", "-o", "remount,size=24m", disk], check=True)
        self.install("1.0", self.repo, root)
        self.install("1.1", self.repo, root)
        fill = os.open(disk / "fill", os.O_WRONLY | os.O_CREAT)
        self.addCleanup(os.close, fill)
        with self.assertRaises(OSError):
            while True:
                os.write(fill, b"x" * 65_536)
        with self.assertRaises(OSError):
            while True:
                os.write(fill, b"x")
        self.agent("rollback", "--root", root)
        self.assert_runs(self.old, root)


if __name__ == "__main__":
    main()
