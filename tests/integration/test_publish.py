#!/usr/bin/env python3
"""Publishing: what is refused, and that a refusal changes nothing."""

import os
import shutil
import socket
import subprocess
import threading
import unittest

from harness import (
    BIN, DONE, FAILED, NOT_FOUND, USAGE, VERIFICATION_FAILED, Case, main, noise, snapshot, write,
)


class Publish(Case):
    def setUp(self):
        super().setUp()
        self.init_repo()
        self.source = self.tree("1.0")

    def refused(self, *args, status=FAILED, **options):
        before = self.published()
        outcome = self.publish(*args, status=status, **options)
        self.assertEqual(self.published(), before, "a refused publish changed the repository")
        return outcome.err

    def published(self):
        """The repository without its lock, whose text names the last holder."""
        return {path: entry for path, entry in snapshot(self.repo).items() if path != b".lock"}

    def test_keys_are_private_and_outside(self):
        keys = self.home / "repo.keys"
        self.assertEqual(os.stat(keys).st_mode & 0o777, 0o700)
        for key in keys.iterdir():
            self.assertEqual(os.stat(key).st_mode & 0o777, 0o600, key)
        self.slipway("repo", "init", "--repo", self.repo, status=FAILED)

    def test_a_published_name_never_means_another_tree(self):
        first = self.publish("1.0", self.source, "--json").last_json()
        again = self.publish("1.0", self.source, "--json").last_json()
        self.assertEqual(first["digest"], again["digest"])
        write(self.source / "bin/run", "something else")
        self.assertIn("web@1.0", self.refused("1.0", self.source))

    def test_special_files_are_named(self):
        os.mkfifo(self.source / "lib/pipe")
        self.assertIn("lib/pipe", self.refused("1.0", self.source))
        os.unlink(self.source / "lib/pipe")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.source / "sock"))
            self.assertIn("sock", self.refused("1.0", self.source))

    def test_setuid_only_on_request(self):
        write(self.source / "bin/su", "x", 0o4755)
        self.assertIn("bin/su", self.refused("1.0", self.source))
        self.publish("1.0", self.source, "--allow-setuid")

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_an_unreadable_file_is_named(self):
        (self.source / "share/data").chmod(0)
        self.home.chmod(0o755)
        program = shutil.copy(BIN / "slipway", self.home)  # Nobody may not reach where it was built.
        for directory, _, files in os.walk(self.home):
            for path in [directory, *(os.path.join(directory, f) for f in files)]:
                os.chown(path, 65534, 65534, follow_symlinks=False)
        self.assertIn("share/data", self.refused("1.0", self.source, program=program, user=65534, group=65534))

    def test_a_tree_that_changes_is_refused_or_published_as_it_was(self):
        """A writer at work while the tree is read: whatever is published must be one state of each
        file, and the repository must verify."""
        busy = self.source / "share/busy"
        stop = threading.Event()
        write(busy, b"\0" * 30_000_000)

        def scribble():
            with open(busy, "r+b") as file:
                count = 0
                while not stop.is_set():
                    count += 1
                    file.seek((count * 7_919_000) % 30_000_000)
                    file.write(b"x")
                    file.flush()

        writer = threading.Thread(target=scribble)
        writer.start()
        try:
            outcome = self.publish("1.0", self.source, status=None)
        finally:
            stop.set()
            writer.join()
        self.assertEqual(outcome.status, FAILED, str(outcome))
        self.assertIn("share/busy", outcome.err)
        self.assertIn("changed", outcome.err)
        self.slipway("verify", "--repo", self.repo)
        self.publish("1.0", self.source)

    @unittest.skipUnless(os.geteuid() == 0, "only root can mount")
    def test_repository_tree_and_host_on_three_filesystems(self):
        for name in ("far-repo", "far-host"):
            mount = self.home / name
            mount.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "slipway-test", mount], check=True)
            self.addCleanup(subprocess.run, ["umount", mount], check=True)
        self.repo = self.home / "far-repo/repo"
        self.init_repo()
        self.publish("1.0", self.source)
        host = self.home / "far-host/host"
        self.install("1.0", self.repo, host)
        self.assert_runs(self.source, host)

    def test_wrong_usage_and_unknown_names(self):
        for args in (("Web@1", self.source), ("web", self.source), ("web@1/2", self.source)):
            self.slipway("publish", "--repo", self.repo, *args, status=USAGE)
        self.slipway("publish", "--repo", self.repo, "web@1", self.home / "none", status=FAILED)
        self.slipway("inspect", "--repo", self.repo, "web@9", status=NOT_FOUND)
        self.slipway("diff", "--repo", self.repo, "web@1", "web@2", status=NOT_FOUND)
        self.slipway("publish", "--repo", self.repo, "web@1", self.source, "--level", "20", status=USAGE)

    def test_verify_names_what_is_damaged(self):
        self.publish("1.0", self.source)
        for pattern in ("packs/*[0-9a-f]", "packs/*.torrent", "targets/web/1.0/*manifest.json",
                        "targets/web/1.0/*packmap"):
            path = next(self.repo.glob(pattern))
            good = path.read_bytes()
            for damaged in (good[:-1], good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 1])
                            + good[len(good) // 2 + 1 :]):
                path.write_bytes(damaged)
                outcome = self.slipway("verify", "--repo", self.repo, status=VERIFICATION_FAILED)
                self.assertIn(path.name[:16], outcome.err + outcome.out)
            path.write_bytes(good)
        self.slipway("verify", "--repo", self.repo)

    def test_killed_at_any_time_the_repository_stays_whole(self):
        write(self.source / "share/big", noise(20_000_000, "big"))
        self.publish("0.9", self.tree("0.9"))
        args = [BIN / "slipway", "publish", "--repo", self.repo, "web@1.0", self.source]
        for delay_s in (0.02, 0.05, 0.1, 0.2, 0.4):
            process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(delay_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self.slipway("list", "--repo", self.repo)
        self.publish("1.0", self.source)
        self.slipway("verify", "--repo", self.repo)
        left = [p for p in self.repo.rglob("*") if p.name.endswith(".tmp")]
        self.assertEqual(left, [])


if __name__ == "__main__":
    main()
