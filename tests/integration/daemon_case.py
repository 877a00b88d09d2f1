"""What the tests of slipway-agent run share."""

import json
import os
import socket
import time

from harness import BIN, Case, Process, Seeder, write

PATIENCE_S = 30


class DaemonCase(Case):
    """A daemon, what it should run, and some releases of one service."""

    programs = BIN

    def setUp(self):
        super().setUp()
        self.init_repo()
        self.trees = {}
        for version, status in (("1.0", 0), ("1.1", 0), ("bad", 1), ("1.2", 0)):
            probe = f"#!/bin/sh\nexit {status}\n"
            tree = self.home / f"tree-{version}"
            write(tree / "probe", probe, 0o755)
            # What runs: the restart notes the version that `current` had.
            write(tree / "restart", f"#!/bin/sh\necho {version} >> {self.restarts}\n", 0o755)
            write(tree / "data", os.urandom(300_000))
            self.trees[version] = tree
            self.publish(version, tree)
        self.seeder = Seeder(self, self.repo)
        self.epoch = 0
        self.config = write(self.home / "agent.toml", self.config_text())
        self.desired = self.home / "desired.json"

    @property
    def restarts(self):
        return self.home / "restarts"

    def config_text(self, more=""):
        return f"""
root = "{self.host()}"
trust = "{self.trust}"
seeders = ["{self.seeder.url}"]
[services.web.run]
version = 1
[services.web.run.hooks.post-switch]
argv = ["restart"]
[[services.web.run.probes]]
type = "exec"
argv = ["probe"]
interval = "100ms"
failures = 2
{more}"""

    def daemon(self, **options):
        args = [self.programs / "slipway-agent", "run", "--config", self.config, "--desired", self.desired]
        return Process(self, args, **options)

    def want(self, run=None, stage=(), attempt=0, epoch=None):
        """Replaces the file, as configuration management does."""
        self.epoch = epoch if epoch is not None else self.epoch + 1
        service = {"stage": [{"artifact": f"web@{version}"} for version in stage]}
        if run:
            service["run"] = {"artifact": f"web@{run}", "attempt": attempt}
        text = {"version": 1, "epoch": self.epoch, "services": {"web": service}}
        temporary = write(self.home / "desired.new", json.dumps(text))
        temporary.rename(self.desired)

    def told(self):
        """What the daemon says about itself."""
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(5)
            caller.connect(str(self.host() / "agent.sock"))
            answer = b""
            while part := caller.recv(65536):
                answer += part
        return json.loads(answer)

    def status(self):
        return self.told()["services"]["web"]

    def wait_for(self, daemon, **expected):
        """Until the status has these fields; the daemon must live on meanwhile."""
        deadline = time.monotonic() + PATIENCE_S
        status = None
        while time.monotonic() < deadline:
            self.assertIsNone(daemon.process.poll(), daemon.errors())
            try:
                status = self.status()
            except (OSError, KeyError, ValueError):
                status = None
            if status and all(status[key] == value for key, value in expected.items()):
                return status
            time.sleep(0.02)
        self.fail(f"never {expected}: {status}\n{daemon.errors()}")

    def wait_healthy(self, daemon, version):
        return self.wait_for(daemon, state="healthy", wanted=f"web@{version}")

    def restarted(self):
        return self.restarts.read_text().split() if self.restarts.exists() else []
