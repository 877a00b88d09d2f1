#!/usr/bin/env python3
"""Killed, or refused by the disk, while a host persists metadata of each role, a delegated one and a
rotated root among them: what is trusted stays whole, and a second run ends it.

The points are the calls of an install that change the disk before the first byte of the release
comes; they are found, counted and judged as those of test_system_calls.py.
"""

from pathlib import Path

import points
from harness import main, snapshot
from scene import Operation, Scene

ROLES = ("root", "timestamp", "snapshot", "targets", "web")


class Metadata(points.Points):
    kill_points, fail_points = 30, 30

    def make(self):
        self.init_repo()
        Scene.trees = {None: None}
        self.keep("empty")
        self.release("1.0")
        self.install("1.0", self.repo)
        self.keep("1.0")
        # The trust that hosts begin with is older than the root by now, and the name belongs to a delegated role.
        self.slipway("repo", "key", "rotate", "root", "--repo", self.repo)
        key = Path(f"{self.repo}.keys") / "web"
        self.slipway("repo", "key", "generate", f"{key}.pem")
        self.slipway("repo", "delegate", "web", "--repo", self.repo, f"{key}.pub")
        self.slipway("repo", "sign", "--repo", self.repo)
        self.release("1.1")

    def release(self, version):
        tree = self.small_tree(version)
        Scene.trees[version] = snapshot(tree)
        self.publish(version, tree)

    def operations(self):
        install = self.install_args
        return {
            one.name: one
            for one in (
                Operation("first", install("1.1", self.repo), None, "1.1", Scene.made / "ready-empty"),
                Operation("upgrade", install("1.1", self.repo), "1.0", "1.1", Scene.made / "ready-1.0"),
            )
        }

    def calls(self):
        """Those until the last role is in its place."""
        for operation, calls in super().calls():
            last = max(i for i, call in enumerate(calls) if call.kind == "rename" and self.role_of(call))
            kept = calls[: last + 3]
            persisted = {self.role_of(call) for call in kept if call.kind == "rename"} - {None}
            self.assertEqual(persisted, set(ROLES), f"roles that {operation.name} persists")
            yield operation, kept

    @staticmethod
    def role_of(call):
        names = [Path(field.decode(errors="replace")).name for field in call.fields if isinstance(field, bytes)]
        return next((role for role in ROLES for name in names if name.endswith(f"{role}.json")), None)


if __name__ == "__main__":
    main()
