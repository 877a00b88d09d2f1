"""The scene of every crash: a host before an operation, the operation, and what must hold after it.

An operation is run once with the recorder loaded, which notes and counts its changes of the disk.
A *point* is one of them. Then the host is put back, something happens at the point, and the host
is judged: `current` is a whole release, the operation done again ends well, and nothing is left over.
"""

import os
import shutil
import subprocess
import unittest
from pathlib import Path

from disk_model import parse_log
from harness import BIN, DONE, Case, noise, remove_tree, snapshot, write

RECORDER = BIN / "libdisk_recorder.so"
SEED = os.environ.get("SLIPWAY_TEST_SEED", "1")

def spread(points, count, dice):
    """`count` of the points, evenly over all of them, each from its share by the dice."""
    if len(points) <= count:
        return points
    share = len(points) / count
    return [points[int(i * share) + dice.randrange(max(1, int(share)))] for i in range(count)]


class Operation:
    """What is done to a host, and how the host looks before and after."""

    def __init__(self, name, command, before, after, ready):
        self.name, self.command, self.before, self.after = name, command, before, after
        self.ready = ready  # The host's directory as it is before.


class Scene(Case):
    """Releases 1.0 to 1.2 of a small service, and a host in front of each operation."""

    made = None  # By the first test, used by all.

    def setUp(self):
        super().setUp()
        if Scene.made is None:
            Scene.made = Path(f"{self.home}-scene")
            unittest.addModuleCleanup(remove_tree, Scene.made)
            Scene.made.mkdir()
            self.home, own = Scene.made, self.home
            self.repo = self.home / "repo"
            self.make()
            self.home = own
        self.scene = Scene.made
        self.repo = self.scene / "repo"

    def host(self, name="host"):
        """One path for all, since paths are part of what is recorded."""
        return Scene.made / name

    def make(self):
        self.init_repo()
        Scene.trees = {None: None}
        self.keep("empty")
        for version in ("1.0", "1.1", "1.2"):
            tree = self.small_tree(version)
            Scene.trees[version] = snapshot(tree)
            self.publish(version, tree)
            if version == "1.0":
                shutil.copytree(self.repo, self.home / "repo-1.0", symlinks=True)
            self.install(version, self.repo)
            self.keep(version)
        damaged = self.current() / "share/data"
        damaged.chmod(0o600)
        damaged.write_bytes(b"?" * damaged.stat().st_size)
        damaged.chmod(0o444)
        Scene.trees["damaged"] = snapshot(self.current())
        self.keep("damaged")

    def keep(self, name):
        kept = Scene.made / f"ready-{name}"
        if self.host().exists():
            subprocess.run(["cp", "-a", self.host(), kept], check=True)
        else:
            kept.mkdir()

    def small_tree(self, version):
        """Unchanged, changed and new files, and one of each other kind."""
        tree = Scene.made / f"tree-{version}"
        for i in range(4):
            write(tree / f"lib/module{i}.txt", noise(3_000, i).hex())
        write(tree / "bin/run", f"#!/bin/sh\necho {version}\n", 0o755)
        write(tree / "share/data", noise(60_000, 99) + noise(2_000, version))
        write(tree / f"share/new-{version}", f"only in {version}")
        os.link(tree / "bin/run", tree / "bin/run-too")
        (tree / "share/latest").symlink_to(f"new-{version}")
        (tree / "empty").mkdir()
        return tree

    def operations(self):
        def ready(name):
            return Scene.made / f"ready-{name}"

        install = self.install_args
        root = ["--root", self.host()]
        return {
            one.name: one
            for one in (
                Operation("first", install("1.0", self.repo), None, "1.0", ready("empty")),
                Operation("upgrade", install("1.1", self.repo), "1.0", "1.1", ready("1.0")),
                Operation("rollback", ["rollback", *root], "1.1", "1.0", ready("1.1")),
                Operation("gc", ["gc", *root], "1.2", "1.2", ready("1.2")),
                Operation("repair", install("1.2", self.repo), "damaged", "1.2", ready("damaged")),
            )
        }

    def put(self, ready):
        remove_tree(self.host())
        subprocess.run(["cp", "-a", ready, self.host()], check=True)

    # Runs ----------------------------------------------------------------------------------------

    def recorded(self, **settings):
        environment = dict(os.environ, LD_PRELOAD=str(RECORDER))
        environment.update({f"SLIPWAY_DISK_{k.upper()}": str(v) for k, v in settings.items()})
        return environment

    def run_recorded(self, operation, **settings):
        """The exit status of the operation: -9 if it was killed."""
        return subprocess.run(
            [BIN / "slipway-agent", *map(str, operation.command)],
            env=self.recorded(**settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        ).returncode

    def record(self, operation):
        """The calls of an undisturbed run, from the host that is in place."""
        log = self.home / f"{operation.name}.log"
        log.unlink(missing_ok=True)
        self.assertEqual(self.run_recorded(operation, log=log), DONE, operation.name)
        return parse_log(log.read_bytes())

    # Judgement -----------------------------------------------------------------------------------

    def version_of(self, tree):
        """The release that a tree is, whole; None for no tree at all."""
        return next((v for v, whole in Scene.trees.items() if whole == tree), "mixed")

    def current_version(self):
        return self.version_of(snapshot(self.current()) if self.current().is_symlink() else None)

    def exception_of(self, operation, is_over=False):
        """What is wrong with the host after something happened to the operation; None if nothing.
        `is_over`: the operation had told that it was done."""
        try:
            self.judge(operation, is_over)
            return None
        except (AssertionError, OSError, KeyError) as why:
            return str(why).strip()

    def judge(self, operation, is_over):
        found = self.current_version()
        if is_over and found == operation.before != operation.after:
            self.fail(f"{operation.after} was told as done, and current is {found}")
        self.assertIn(found, self.whole(operation), "current")
        self.do_again(operation, found)
        self.assertEqual(self.current_version(), operation.after, "after it was done again")
        self.agent("verify", "--root", self.host(), "--all", "--quiet")
        if operation.name == "gc":
            self.assertEqual(len(self.host_state()[1]), 2, "releases kept by gc")
        self.judge_leftovers()

    def whole(self, operation):
        """What `current` may name at any instant."""
        return {operation.before, operation.after}

    def do_again(self, operation, found):
        if operation.name == "rollback":
            # Asked for twice it goes two back: who was killed looks first.
            status = self.agent("status", "--root", self.host(), "--json").last_json()
            self.assertEqual(status["services"][0]["current"]["artifact"], f"web@{found}")
            if found == operation.after:
                return
        self.agent(*operation.command)

    def judge_leftovers(self):
        """No temporary name, no record without a release, and after gc no pack without a record."""
        self.assert_tidy()
        self.agent("gc", "--root", self.host())
        self.assert_tidy()
        names = [str(p.relative_to(self.host())) for p in self.host().rglob("*")]
        left = [n for n in names if n.endswith(".tmp") and "/releases/" not in n]
        self.assertEqual(left, [], "temporary names")
        records = self.host() / "services/web/records"
        named = b"".join(p.read_bytes() for p in records.glob("*/packmap"))
        for pack in (self.host() / "packs").iterdir():
            root = bytes.fromhex(pack.name.split(".")[0])
            self.assertIn(root, named, f"pack {pack.name} is of no release")
        kept = {os.readlink(p) for p in (self.host() / "services/web").iterdir() if p.is_symlink()}
        on_disk = {f"releases/{name}" for name in self.host_state()[1]}
        self.assertEqual(on_disk, kept, "releases beside current and previous")
