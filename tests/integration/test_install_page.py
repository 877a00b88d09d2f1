#!/usr/bin/env python3
"""Runs the recipe of docs/install.md for one host, as it stands there."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from harness import BIN, Case, FileServer, main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "install.md"


class InstallPage(Case):
    def test_one_host_by_hand(self):
        recipe = re.search(r"```sh\n(.*?)```", PAGE.read_text(), re.S)[1]
        trees = {version: self.tree(version) for version in ("1.0", "1.1")}
        self.init_repo()
        self.publish("1.0", trees["1.0"])
        self.repo.rename(self.home / "shop")
        shutil.copy(self.home / "shop/metadata/1.root.json", self.home / "root.json")
        (self.home / "stick").mkdir()
        served = self.home / "served"
        served.mkdir()
        server = FileServer(self, served)
        for said, here in (("/media/stick", f"{self.home}/stick"), ("/var/lib/slipway", f"{self.home}/host")):
            self.assertIn(said, recipe)
            recipe = recipe.replace(said, here)
        self.assertIn("http://127.0.0.1:8000", recipe)
        recipe = recipe.replace("http://127.0.0.1:8000", server.url)
        # The publisher goes on while the stick is on its way.
        first, later = recipe.split("# Later,")
        self.shell(first)
        self.assert_runs(trees["1.0"], self.home / "host")
        self.assertEqual(server.requests, [], "from the stick nothing is asked of a network")
        self.repo = self.home / "shop"
        self.slipway("publish", "--repo", self.repo, "--keys", self.home / "repo.keys", "web@1.1", trees["1.1"])
        (served / "shop").symlink_to(self.repo)
        upgrade, rest = later.split("# Two seeders")
        self.shell("#" + upgrade)
        self.assert_runs(trees["1.1"], self.home / "host")
        self.assertIn("shop/metadata/timestamp.json", server.requests)
        shutil.copytree(self.repo, self.home / "stick/shop", dirs_exist_ok=True)
        self.shell("#" + rest)
        self.assert_runs(trees["1.0"], self.home / "host")

    def shell(self, script):
        environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
        ended = subprocess.run(["sh", "-euc", script], cwd=self.home, capture_output=True, text=True, errors="replace", timeout=120, env=environment)
        self.assertEqual(ended.returncode, 0, script + ended.stdout + ended.stderr)


if __name__ == "__main__":
    main()
