#!/usr/bin/env python3
"""At any moment of a publication a reader finds a whole repository: the one before, or the one after.

`slipway publish` is killed at each of its calls that change the disk. What is there then is what a
reader finds at that moment: a whole client walk through the metadata, and the newest release that it
lists installs. Published again, the release is there.
"""

import random
import signal
import subprocess
import sys

from disk_model import parse_log
from harness import BIN, DONE, LONG, main, remove_tree, snapshot
from scene import SEED, Scene, spread

POINTS = 25  # In CI.


class PublishMoments(Scene):
    def make(self):
        self.init_repo()
        Scene.trees = {}
        for version in ("1.0", "1.1"):
            Scene.trees[version] = self.small_tree(version)
        self.publish("1.0", Scene.trees["1.0"])

    def setUp(self):
        super().setUp()
        self.ready, self.repo = self.repo, self.home / "repo"
        self.root = self.trust_of(self.ready)

    @staticmethod
    def trust_of(repo):
        return repo / "metadata/1.root.json"

    def put_repository(self):
        for suffix in ("", ".keys"):
            remove_tree(f"{self.repo}{suffix}")
            subprocess.run(["cp", "-a", f"{self.ready}{suffix}", f"{self.repo}{suffix}"], check=True)

    def publish_recorded(self, **settings):
        command = [BIN / "slipway", "publish", "--repo", self.repo, "web@1.1", Scene.trees["1.1"]]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.run(command, env=self.recorded(**settings), timeout=60, **quiet).returncode

    def read(self):
        """What a host that comes now finds, and installs."""
        said = self.slipway("list", "--repo", self.repo, "--trust", self.root, "--json").last_json()
        newest = max(one["artifact"].split("@")[1] for one in said["artifacts"])
        host = self.home / "reader"
        remove_tree(host)
        self.agent("install", f"web@{newest}", "--service", "web", "--root", host, "--seeder", self.repo, "--trust", self.root)
        self.assertEqual(snapshot(host / "services/web/current"), snapshot(Scene.trees[newest]))
        return newest

    def test_a_reader_at_any_moment(self):
        self.put_repository()
        log = self.home / "publish.log"
        self.assertEqual(self.publish_recorded(log=log), DONE)
        numbers = [call.number for call in parse_log(log.read_bytes()) if call.number]
        chosen = numbers if LONG else spread(numbers, POINTS, random.Random(SEED))
        found, met = [], 0
        for number in chosen:
            with self.subTest(number):
                self.put_repository()
                met += self.publish_recorded(at=number) == -signal.SIGKILL
                found.append(self.read())
                self.publish("1.1", Scene.trees["1.1"])
                self.slipway("verify", "--repo", self.repo)
                self.assertEqual(self.read(), "1.1")
        print(f"{len(chosen)} of {len(numbers)} moments, {met} met, {found.count('1.1')} after the release was there", file=sys.stderr)
        self.assertGreaterEqual(met, 0.9 * len(chosen))
        self.assertEqual(found, sorted(found), "what was there once stays there")


if __name__ == "__main__":
    main()
