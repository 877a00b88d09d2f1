"""The scene of every attack: a repository with 1.0 and 1.1, and a host that runs 1.0."""

import os
import shutil
import subprocess
import unittest

from forge import Key, Mirror
from harness import BIN, VERIFICATION_FAILED, Case, Outcome, noise, remove_tree, write

FAKETIME = shutil.which("faketime")
# Beyond this an agent has read what it should have refused (KiB). libtorrent and OpenSSL take 30 MB.
MEMORY_KIB_MAX = 160_000


class AttackCase(Case):
    """`refused` runs the attack: an install that must fail, say what was wrong and leave the host as
    it is. `honest` shows that the attack was the only reason: the same host takes the real thing."""

    scene = None  # Made by the first test, copied by the others.

    def setUp(self):
        super().setUp()
        self.keys = self.home / "repo.keys"
        self.at_1_0 = self.home / "at-1.0"
        if AttackCase.scene:
            subprocess.run(["cp", "-a", f"{AttackCase.scene}/.", self.home], check=True)
            return
        self.init_repo()
        self.publish("1.0", self.program("1.0"))
        subprocess.run(["cp", "-a", self.repo, self.at_1_0], check=True)
        self.install("1.0", self.repo)
        self.publish("1.1", self.program("1.1"))
        AttackCase.scene = f"{self.home}-scene"
        unittest.addModuleCleanup(remove_tree, AttackCase.scene)
        subprocess.run(["cp", "-a", self.home, AttackCase.scene], check=True)

    def program(self, version):
        """A tree that can be run and says its version."""
        tree = self.home / f"tree-{version}"
        write(tree / "bin/run", f"#!/bin/sh\necho version {version}\n", 0o755)
        write(tree / "data", noise(200_000, 1))
        return tree

    def says(self, root=None):
        ended = subprocess.run([self.current(root) / "bin/run"], stdout=subprocess.PIPE, timeout=10, check=True)
        return ended.stdout.decode().strip()

    def mirror(self, name="mirror", source=None):
        return Mirror(self.home / name, source or self.repo, self.keys)

    def refused(self, seeder, *words, version="1.1", status=VERIFICATION_FAILED, runs="1.0", flags=(), before=()):
        """An install from `seeder` (a Mirror, or what the agent takes) that names each of `words`."""
        seeder = seeder.path if isinstance(seeder, Mirror) else seeder
        state = self.host_state()
        outcome = self.install(version, seeder, None, "--patience", "5", *flags, status=status, before=before)
        for word in words:
            self.assertIn(word, outcome.err)
        self.assertEqual(self.host_state(), state, str(outcome))
        self.assert_tidy()
        self.assertEqual(self.says(), f"version {runs}")
        return outcome

    def honest(self, version="1.1", seeder=None, flags=(), before=()):
        """The real release goes onto the host that was attacked, from the repository or from `seeder`."""
        seeder = seeder.path if isinstance(seeder, Mirror) else seeder or self.repo
        self.install(version, seeder, None, *flags, before=before)
        self.assertEqual(self.says(), f"version {version}")

    def ahead(self, source=None):
        """What the owner publishes when a thief of the online keys has shown hosts versions to come:
        the same, with versions beyond."""
        owner = self.mirror(f"ahead.{self.next_number()}", source)
        for role in ("targets", "snapshot", "timestamp"):
            owner.change(role, lambda body: body.__setitem__("version", body["version"] + 100))
        return owner.path

    def measured(self, version, seeder, status=VERIFICATION_FAILED):
        """An install whose memory is limited: gives its outcome."""
        args = ["timeout", "60", BIN / "slipway-agent", *self.install_args(version, seeder, None, "--patience", "5")]
        log = self.home / f"measured.{self.next_number()}"
        with open(log, "wb") as out:
            process = subprocess.Popen(list(map(str, args)), stdout=subprocess.DEVNULL, stderr=out)
            _, ended, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(ended)
        outcome = Outcome(args, process.returncode, "", log.read_text(errors="replace"), 0)
        self.assertEqual(outcome.status, status, str(outcome))
        self.assertLess(usage.ru_maxrss, MEMORY_KIB_MAX, str(outcome))
        self.assertEqual(self.says(), "version 1.0")
        return outcome

    def days_later(self, days):
        """What to put before a command so that its clock is that much ahead, or behind."""
        if not FAKETIME:
            self.skipTest("faketime is not installed")
        return ["env", "NO_FAKE_STAT=1", "faketime", "-f", f"{days:+d}d"]

    def forget_host(self):
        remove_tree(self.host())
        self.install("1.0", self.at_1_0)

    def delegate(self, prefix):
        """Has targets delegate the prefix to a new key, with metadata of its own."""
        team = self.home / "team"
        team.mkdir(mode=0o700)
        self.slipway("repo", "key", "generate", team / f"{prefix}.pem")
        self.slipway("repo", "delegate", prefix, "--repo", self.repo, team / f"{prefix}.pub")
        self.slipway("repo", "sign", "--repo", self.repo, "--keys", team)
        self.slipway("repo", "sign", "--repo", self.repo)
        return Key(team / f"{prefix}.pem")
