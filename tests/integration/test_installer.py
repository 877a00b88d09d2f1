#!/usr/bin/env python3
"""slipway-installer: who may ask it, what it believes, and that being killed costs a reconnect only."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

from harness import BIN, VERIFICATION_FAILED, NOT_FOUND, Case, Process, main, noise, snapshot, write

# Connects as another user and prints the first reply.
ASK_AS_STRANGER = """
import os, socket, sys
os.setuid(65534)
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(10)
s.connect(sys.argv[1])
print(s.recv(65536).decode(), s.recv(65536))
"""

# The same, with a question.
ASK_AS_NOBODY = """
import os, pwd, socket, sys
os.setuid(pwd.getpwnam("nobody").pw_uid)
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(10)
s.connect(sys.argv[1])
s.send(b'{"version": 1, "id": 1, "op": "hello"}')
print(s.recv(65536).decode())
"""


class Client:
    def __init__(self, test, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.phases = []
        test.addCleanup(self.socket.close)

    def send(self, op, **fields):
        self.socket.send(json.dumps({"version": 1, "id": 1, "op": op, **fields}).encode())

    def receive(self):
        message = self.socket.recv(65536)
        return json.loads(message) if message else None

    def ask(self, op, **fields):
        self.send(op, **fields)
        while (reply := self.receive()) and reply["type"] == "progress":
            self.phases.append(reply["phase"])
        return reply


class Installer(Case):
    def setUp(self):
        super().setUp()
        self.init_repo()
        self.trees = {version: self.tree(version) for version in ("1.0", "1.1")}
        for version, tree in self.trees.items():
            self.publish(version, tree)
        self.socket_path = self.home / "installer.sock"
        self.staged = {}

    def start(self, *before, agent=("--agent-uid", os.getuid())):
        installer = Process(
            self,
            [*before, BIN / "slipway-installer", "--root", self.host(), "--socket", self.socket_path]
            + ["--trust", self.trust, *agent],
        )
        installer.line("ready")
        return installer

    def client(self):
        return Client(self, self.socket_path)

    def fetch(self, version):
        args = self.install_args(version, self.repo)
        args[0] = "fetch"
        self.staged[version] = self.agent(*args).last_json()
        return self.staged[version]

    def build(self, version, client=None, **changed):
        request = {"service": "web", "artifact": f"web@{version}"}
        request["digest"] = self.staged[version]["digest"]
        return (client or self.client()).ask("build", **{**request, **changed})

    def switch(self, version):
        reply = self.client().ask("switch", service="web", release=self.staged[version]["release"])
        self.assertEqual(reply["type"], "done", reply)

    def install_first(self):
        self.start()
        self.fetch("1.0")
        self.assertEqual(self.build("1.0")["type"], "done")
        self.switch("1.0")
        self.assert_runs(self.trees["1.0"])

    def packs(self):
        return [p for p in (self.host() / "packs").iterdir() if not p.name.endswith(".torrent")]

    def assert_refused(self, reply, status, *words):
        self.assertEqual((reply["type"], reply.get("status")), ("failed", status), reply)
        for word in words:
            self.assertIn(word, reply["why"])

    def test_builds_switches_rolls_back_and_collects_and_each_may_be_asked_again(self):
        self.install_first()
        self.fetch("1.1")
        self.assert_runs(self.trees["1.0"])
        client = self.client()
        for _ in range(2):
            self.assertEqual(self.build("1.1", client)["release"], self.staged["1.1"]["release"])
            self.assert_runs(self.trees["1.0"])
        self.assertIn("verify", client.phases)
        for _ in range(2):
            self.switch("1.1")
            self.assert_runs(self.trees["1.1"])
        status = client.ask("status", service="web")
        self.assertEqual(status["previous"], self.staged["1.0"]["release"])
        self.assertEqual(len(status["releases"]), 2)
        for _ in range(2):
            reply = client.ask("rollback", service="web", **{"from": self.staged["1.1"]["release"]})
            self.assertEqual(reply["release"], self.staged["1.0"]["release"])
            self.assert_runs(self.trees["1.0"])
        self.assertEqual(client.ask("gc", service="web")["removed"], 1)
        self.assertEqual(client.ask("gc", service="web").get("removed", 0), 0)
        self.assert_tidy()

    def test_a_stranger_is_refused_by_the_kernels_word(self):
        if os.getuid() != 0:
            self.skipTest("needs root to become another user")
        self.start()
        self.assertEqual(self.socket_path.stat().st_mode & 0o777, 0o600)
        self.home.chmod(0o755)
        self.socket_path.chmod(0o666)  # Even where the socket's mode lets everybody in.
        outcome = subprocess.run(
            [sys.executable, "-c", ASK_AS_STRANGER, self.socket_path], capture_output=True, text=True
        )
        self.assertIn('"failed"', outcome.stdout, outcome.stderr)
        self.assertTrue(outcome.stdout.strip().endswith("b''"), outcome.stdout)

    def test_the_agent_may_be_named(self):
        if os.getuid() != 0:
            self.skipTest("needs root to become another user")
        self.start(agent=("--agent-user", "nobody"))
        self.home.chmod(0o755)
        asked = subprocess.run(
            [sys.executable, "-c", ASK_AS_NOBODY, self.socket_path], capture_output=True, text=True
        )
        self.assertIn('"done"', asked.stdout, asked.stderr)
        unknown = self.slipway("--agent-user", "no-such-user", program="slipway-installer", status=NOT_FOUND)
        self.assertIn("--agent-user no-such-user: no such user", unknown.err)

    def test_another_digest_than_the_signed_one_is_refused(self):
        self.install_first()
        self.fetch("1.1")
        before = self.host_state()
        reply = self.build("1.1", digest="00" * 32)
        self.assert_refused(reply, VERIFICATION_FAILED, "manifest")
        self.assertEqual(self.host_state(), before)

    def test_tampered_metadata_is_refused(self):
        self.install_first()
        self.publish("1.2", self.tree("1.2"))  # Metadata that the installer has not seen yet.
        self.fetch("1.2")
        before = self.host_state()
        for name in ("timestamp.json", "snapshot.json", "targets.json"):
            [file] = (self.host() / "mirror/metadata").glob(f"*{name}")
            good = file.read_bytes()
            bad = good.replace(b"20", b"30")
            self.assertNotEqual(bad, good)
            write(file, bad)
            self.assert_refused(self.build("1.2"), VERIFICATION_FAILED)
            self.assertEqual(self.host_state(), before)
            write(file, good)
        self.assertEqual(self.build("1.2")["type"], "done")

    def test_a_tampered_pack_is_refused_and_a_new_fetch_repairs_it(self):
        self.install_first()
        self.fetch("1.1")
        before = self.host_state()
        for pack in self.packs():
            data = bytearray(pack.read_bytes())
            data[: len(data) // 2] = noise(len(data) // 2, 5)
            write(pack, bytes(data))
        self.assert_refused(self.build("1.1"), VERIFICATION_FAILED, "pack")
        self.assertEqual(self.host_state(), before)
        self.fetch("1.1")
        self.assertEqual(self.build("1.1")["type"], "done")

    def test_what_is_missing_is_named(self):
        self.install_first()
        self.fetch("1.1")
        for pack in self.packs():
            pack.unlink()
        reply = self.build("1.1")
        self.assert_refused(reply, NOT_FOUND)
        self.assertGreater(reply["missing"][0]["bytes"], 0)
        self.fetch("1.1")
        self.assertEqual(self.build("1.1")["type"], "done")

    def test_neither_pipes_nor_links_in_the_agents_directories_hold_it(self):
        self.install_first()
        self.fetch("1.1")
        for pack in self.packs():
            pack.unlink()
            os.mkfifo(pack)
        self.assert_refused(self.build("1.1"), NOT_FOUND)
        shutil.rmtree(self.host() / "mirror/metadata")
        (self.host() / "mirror/metadata").mkdir()
        os.mkfifo(self.host() / "mirror/metadata/timestamp.json")
        self.assertEqual(self.build("1.1")["type"], "failed")

    def test_killed_while_it_builds_and_asked_again(self):
        self.start().end()
        self.fetch("1.0")
        for phase in ("index", "plan", "fetch", "build", "sync", "verify"):
            installer = self.start()
            client = self.client()
            client.send("build", service="web", artifact="web@1.0", digest=self.staged["1.0"]["digest"])
            while (reply := client.receive()) and reply.get("phase") != phase:
                self.assertEqual(reply["type"], "progress", reply)
            installer.signal(signal.SIGKILL)
            installer.wait()
            self.assertFalse(self.current().is_symlink())
            while client.receive():
                pass
            self.start_again_and_build("1.0")
            self.client().ask("gc", service="web")
            self.assert_tidy()
            shutil.rmtree(self.host() / "services/web", ignore_errors=True)

    def start_again_and_build(self, version):
        installer = self.start()
        self.assertEqual(self.build(version)["type"], "done")
        self.switch(version)
        self.assert_runs(self.trees[version])
        installer.end()
        self.start()

    def test_a_message_that_is_not_of_the_protocol_is_answered(self):
        self.start()
        client = self.client()
        for bad in (b"{", b"[]", b"x" * 70_000, json.dumps({"version": 2, "op": "hello"}).encode()):
            client.socket.send(bad)
            reply = client.receive()
            if reply is None:  # Too long: cut off.
                client = self.client()
                continue
            self.assertEqual(reply["type"], "failed")
        self.assertEqual(client.ask("hello")["type"], "done")

    def test_the_service_manager_may_pass_the_socket(self):
        if not shutil.which("systemd-socket-activate"):
            self.skipTest("no systemd-socket-activate")
        activate = Process(
            self,
            ["systemd-socket-activate", "--seqpacket", "--listen", self.socket_path]
            + [BIN / "slipway-installer", "--root", self.host(), "--trust", self.trust],
        )
        deadline = time.monotonic() + 10
        while not self.socket_path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(self.client().ask("hello")["type"], "done", activate.errors())

    def test_it_needs_no_library_that_talks_to_a_network(self):
        listed = subprocess.run(
            ["objdump", "-p", BIN / "slipway-installer"], capture_output=True, text=True, check=True
        ).stdout
        needed = [line.split()[1] for line in listed.splitlines() if "NEEDED" in line]
        self.assertIn("libc.so.6", needed)
        for library in needed:
            for network in ("curl", "torrent", "libssl", "asio", "nghttp", "resolv"):
                self.assertNotIn(network, library)


if __name__ == "__main__":
    main()
