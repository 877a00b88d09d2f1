#!/usr/bin/env python3
"""Two consecutive releases of a real program, out of Debian packages: upgrade, run, go back, run."""

import subprocess
from pathlib import Path

from harness import Case, Seeder, main, snapshot

ROOT = Path(__file__).resolve().parents[2]


class RealProgram(Case):
    def run_current(self):
        return subprocess.check_output([self.example / "run"], cwd=self.current(), text=True, timeout=30)

    def test_upgrade_and_rollback(self):
        self.example = self.home / "example"
        subprocess.run([ROOT / "packaging/example-releases", self.example], check=True, timeout=300)
        name, old, new = ((self.example / f).read_text().strip() for f in ("name", "old.version", "new.version"))
        self.init_repo()
        for version, tree in ((old, "old"), (new, "new")):
            self.publish(version, self.example / tree, name=name)
        self.slipway("verify", "--repo", self.repo)
        seeder = Seeder(self, self.repo)

        first = self.install(old, seeder.url, name=name).last_json()
        ran_old = self.run_current()
        second = self.install(new, seeder.url, name=name).last_json()
        ran_new = self.run_current()
        self.assertNotEqual(ran_old, ran_new)
        self.assertEqual(snapshot(self.current()), snapshot(self.example / "new"))
        self.assertLess(second["fetched_bytes"], first["fetched_bytes"] / 2)

        back = self.agent("rollback", "--root", self.host(), "--service", "web")
        self.assertLess(back.seconds, 1)
        self.assertEqual(self.run_current(), ran_old)
        self.assertEqual(snapshot(self.current()), snapshot(self.example / "old"))


if __name__ == "__main__":
    main()
