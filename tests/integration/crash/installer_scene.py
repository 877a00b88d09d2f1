"""slipway-installer as an operation: it builds what the agent fetched, and switches to it."""

import json
import os
import signal
import socket
import subprocess
import time

from harness import BIN, DONE, FAILED
from scene import Operation, Scene

PATIENCE_S = 60


class InstallerScene(Scene):
    def make(self):
        super().make()
        self.put(Scene.made / "ready-empty")
        Scene.staged = {}
        for version in ("1.0", "1.1"):
            args = self.install_args(version, self.repo)
            args[0] = "fetch"
            Scene.staged[version] = self.agent(*args).last_json()
            if version == "1.0":
                self.assertEqual(self.install_by_installer("1.0", {}), DONE)
        self.keep("installer")

    def operations(self):
        one = Operation("installer", [], "1.0", "1.1", Scene.made / "ready-installer")
        return {one.name: one}

    def ask(self, caller, op, **fields):
        """The last reply to a request; nothing if the installer is gone."""
        try:
            caller.send(json.dumps({"version": 1, "id": 1, "op": op, **fields}).encode())
            while message := caller.recv(65536):
                reply = json.loads(message)
                if reply["type"] != "progress":
                    return reply
        except OSError:
            pass
        return None

    def requests(self, path, version):
        """Builds and switches: whether both were done."""
        staged = Scene.staged[version]
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
            caller.settimeout(PATIENCE_S)
            caller.connect(str(path))
            artifact = {"artifact": f"web@{version}", "digest": staged["digest"]}
            for op, fields in (("build", artifact), ("switch", {"release": staged["release"]})):
                reply = self.ask(caller, op, service="web", **fields)
                if not reply or reply["type"] != "done":
                    return False
        return True

    def install_by_installer(self, version, settings):
        """-9 if the installer was killed, FAILED if it refused, DONE if it did both."""
        path = self.home / "installer.sock"
        arguments = ["--root", self.host(), "--socket", path, "--trust", self.trust]
        arguments += ["--agent-uid", str(os.getuid())]
        environment = self.recorded(**settings) if settings else None
        with open(self.home / "installer.said", "wb") as log:
            installer = subprocess.Popen(
                [BIN / "slipway-installer", *arguments], env=environment, stdout=log, stderr=log
            )
        done = False
        try:
            deadline = time.monotonic() + PATIENCE_S
            while installer.poll() is None and time.monotonic() < deadline:
                try:
                    done = self.requests(path, version)
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    time.sleep(0.01)  # It has only begun.
            if installer.poll() is None and not done:
                # A process that is killed closes its socket a moment before it is gone.
                try:
                    return installer.wait(0.5)
                except subprocess.TimeoutExpired:
                    pass
            installer.send_signal(signal.SIGTERM)
            status = installer.wait(20)
            ended_by_us = status in (0, -signal.SIGTERM)  # It has nothing to do at its end.
            return (DONE if done else FAILED) if ended_by_us else status
        finally:
            if installer.poll() is None:
                installer.kill()
                installer.wait()
            path.unlink(missing_ok=True)

    def run_recorded(self, operation, **settings):
        return self.install_by_installer(operation.after, settings)

    def do_again(self, operation, found):
        self.assertEqual(self.install_by_installer(operation.after, {}), DONE)
