#!/usr/bin/env python3
"""slipway-agent and slipway-installer as two users, as the packages set them up (docs/decisions/0140)."""

import os
import pwd
import shutil
import socket
import unittest

from daemon_case import DaemonCase
from harness import BIN, Process, main


@unittest.skipUnless(os.getuid() == 0, "needs root to become other users")
class Users(DaemonCase):
    def setUp(self):
        super().setUp()
        self.agent_user = pwd.getpwnam("nobody")
        self.installer_user = pwd.getpwnam("daemon")
        self.home.chmod(0o1777)  # For what the test's own hooks write.
        self.programs = self.home / "programs"  # The checkout may be closed to these users.
        self.programs.mkdir()
        for name in ("slipway-agent", "slipway-installer"):
            shutil.copy(BIN / name, self.programs)
        root = self.host()
        root.mkdir()
        os.chown(root, 0, self.agent_user.pw_gid)
        root.chmod(0o1775)
        for name in ("services", "installer-trust"):
            (root / name).mkdir(mode=0o755)
            os.chown(root / name, self.installer_user.pw_uid, self.installer_user.pw_gid)
        self.socket_path = self.home / "installer.sock"
        self.config.write_text(f'installer = "{self.socket_path}"\n' + self.config_text())

    def ids(self, user):
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def start_installer(self):
        """With a socket that it is handed, as by a service manager: it may not give one away itself."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            listening.bind(str(self.socket_path))
            listening.listen()
            self.socket_path.chmod(0o666)
            fd = listening.fileno()
            passing = ["sh", "-c", f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&{fd}', "sh"]
            args = [*passing, self.programs / "slipway-installer", "--root", self.host(), "--trust", self.trust]
            args += ["--agent-uid", self.agent_user.pw_uid]
            installer = Process(self, args, pass_fds=[fd], **self.ids(self.installer_user))
            installer.line("ready")
        return installer

    def owners(self, directory):
        return {entry.stat(follow_symlinks=False).st_uid for entry in os.scandir(directory)}

    def test_the_agent_fetches_the_installer_writes_and_neither_may_do_the_others(self):
        self.start_installer()
        self.want("1.0")
        daemon = self.daemon(**self.ids(self.agent_user))
        self.wait_healthy(daemon, "1.0")
        self.assert_runs(self.trees["1.0"])
        self.want("bad")
        self.wait_for(daemon, state="rolled-back")
        self.assert_runs(self.trees["1.0"])
        self.want("1.1")
        self.wait_healthy(daemon, "1.1")
        self.assert_runs(self.trees["1.1"])
        self.want("1.0")
        self.wait_healthy(daemon, "1.0")
        self.assertEqual(self.restarted(), ["1.0", "bad", "1.0", "1.1", "1.0"])
        service = self.host() / "services" / "web"
        for directory in (service, service / "releases", service / "records"):
            self.assertEqual(self.owners(directory), {self.installer_user.pw_uid}, directory)
        self.assertEqual(self.owners(self.host() / "packs"), {self.agent_user.pw_uid})


if __name__ == "__main__":
    main()
