"""The daemon as an operation: from one desired state to another, through every step of a service."""

import json
import signal
import socket
import subprocess
import time

from harness import BIN, DONE, snapshot, write
from scene import Operation, Scene

PATIENCE_S = 60


class DaemonScene(Scene):
    def make(self):
        super().make()
        bad = self.small_tree("bad")
        write(bad / "bin/run", "#!/bin/sh\nexit 1\n", 0o755)
        Scene.trees["bad"] = snapshot(bad)
        self.publish("bad", bad)
        write(Scene.made / "agent.toml", self.config_text())
        self.put(Scene.made / "ready-empty")
        self.assertEqual(self.run_daemon(self.desired("1.0", 1), "healthy", "1.0", {}), DONE)
        self.keep("daemon")

    def config_text(self):
        return f"""
root = "{self.host()}"
trust = "{self.trust}"
seeders = ["{self.repo}"]
[services.web.run]
version = 1
[services.web.run.hooks.post-switch]
argv = ["bin/run"]
[[services.web.run.probes]]
type = "exec"
argv = ["bin/run"]
interval = "100ms"
failures = 1
"""

    def desired(self, version, epoch):
        wanted = {"web": {"run": {"artifact": f"web@{version}"}}}
        text = json.dumps({"version": 1, "epoch": epoch, "services": wanted})
        return write(Scene.made / f"desired-{version}.json", text)

    def operations(self):
        def change(name, version, after, state):
            one = Operation(name, [], "1.0", after, Scene.made / "ready-daemon")
            one.desired, one.version, one.state = self.desired(version, 2), version, state
            return one

        return {
            one.name: one
            for one in (
                change("daemon upgrade", "1.1", "1.1", "healthy"),
                change("daemon rollback", "bad", "1.0", "rolled-back"),
            )
        }

    def whole(self, operation):
        return super().whole(operation) | {operation.version}

    def status(self):
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(5)
            caller.connect(str(self.host() / "agent.sock"))
            answer = b""
            while part := caller.recv(65536):
                answer += part
        return json.loads(answer)["services"]["web"]

    def run_daemon(self, desired, state, version, settings):
        """Until the service is in the state, or the daemon has ended: its exit status."""
        arguments = ["run", "--config", Scene.made / "agent.toml", "--desired", desired]
        environment = self.recorded(**settings) if settings else None
        said = self.home / "daemon.said"
        with open(said, "wb") as log:
            daemon = subprocess.Popen(
                [BIN / "slipway-agent", *arguments], env=environment, stdout=log, stderr=log
            )
        try:
            deadline = time.monotonic() + PATIENCE_S
            while daemon.poll() is None and time.monotonic() < deadline:
                try:
                    found = self.status()
                    if found["state"] == state and found["wanted"] == f"web@{version}":
                        break
                except (OSError, KeyError, ValueError):
                    pass  # It has only begun.
                time.sleep(0.01)
            else:
                self.assertIsNotNone(daemon.poll(), f"never {state}")
                return daemon.returncode
            daemon.send_signal(signal.SIGTERM)
            return daemon.wait(20)
        except AssertionError as why:
            raise AssertionError(f"{why}\n{said.read_text()}") from None
        finally:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()

    def run_recorded(self, operation, **settings):
        return self.run_daemon(operation.desired, operation.state, operation.version, settings)

    def do_again(self, operation, found):
        status = self.run_daemon(operation.desired, operation.state, operation.version, {})
        self.assertEqual(status, DONE)
