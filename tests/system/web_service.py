"""The service that the system tests deploy: socket-activated, so that no request need fail, and a client that asks it all the time."""

import random
import re
import shutil
import socket
import threading
import time

import machines

STATE = "/var/lib/slipway"

SERVE = """#!/usr/bin/python3
# Serves what systemd listens for. Told to stop, it ends between two requests: those that wait go to the next release.
import select, signal, socket
told, tell = socket.socketpair()
tell.setblocking(False)
signal.signal(signal.SIGTERM, lambda *_: None)
signal.set_wakeup_fd(tell.fileno())  # A handler that exits could do so between accept() and the answer.
listening = socket.socket(fileno=3)
while told not in select.select([listening, told], [], [])[0]:
    client, _ = listening.accept()
    client.settimeout(5)
    try:
        client.recv(65536)
        client.sendall(b"HTTP/1.1 STATUS\\r\\nContent-Length: SIZE\\r\\nConnection: close\\r\\n\\r\\nVERSION")
        client.shutdown(socket.SHUT_WR)
        client.recv(1)
    except OSError:
        pass
    client.close()
"""

WEB_SERVICE = f"""[Unit]
Requires=web.socket
After=web.socket
StartLimitIntervalSec=0
[Service]
ExecStart=/usr/bin/python3 {STATE}/services/web/current/serve
User=nobody
"""
WEB_SOCKET = """[Socket]
ListenStream=8080
[Install]
WantedBy=sockets.target
"""
RUN_SPEC = {
    "version": 1,
    "unit": {"name": "web.service"},
    "probes": [{"type": "http", "url": "http://127.0.0.1:8080/", "interval": "100ms", "failures": 2}],
    "ready_within": "20s",
}


class Client:
    """Asks the service all the time, and remembers every answer and every failure."""

    def __init__(self, host):
        self.host, self.answers, self.failures, self.over = host, [], [], False
        self.thread = threading.Thread(target=self.ask, daemon=True)
        self.thread.start()

    def ask(self):
        while not self.over:
            try:
                with socket.create_connection((self.host, 8080), 15) as asked:
                    asked.sendall(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
                    answer = b""
                    while part := asked.recv(65536):
                        answer += part
                status, version = re.fullmatch(rb"HTTP/1.1 (\d+) .*\r\n\r\n(.+)", answer, re.DOTALL).groups()
                self.answers.append((int(status), version.decode()))
            except (OSError, AttributeError) as error:
                self.failures.append(f"after {len(self.answers)} answers: {error!r}")
            time.sleep(0.002)

    def end(self):
        self.over = True
        self.thread.join(20)

    def versions(self):
        """In the order of their appearance, without repetitions."""
        seen = [version for _, version in self.answers]
        return [version for number, version in enumerate(seen) if number == 0 or seen[number - 1] != version]


def web_tree(tree, version, status="200 OK", extra=b""):
    """A release that answers with its version."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    serve = SERVE.replace("STATUS", status).replace("SIZE", str(len(version))).replace("VERSION", version)
    (tree / "serve").write_text(serve)
    (tree / "serve").chmod(0o755)
    (tree / "data").write_bytes(random.Random(1).randbytes(400_000) + extra)


def publish_tree(seeder, artifact, tree, run_spec="/etc/run.json"):
    """Publishes a tree of this machine's on the seeder's."""
    packed = tree.parent / "tree.tar"
    machines.run("tar", "-C", tree, "-cf", packed, ".")
    seeder.copy_in(packed, "/tmp/tree.tar")
    seeder.shell(
        f"""rm -rf /tmp/tree; mkdir -m 755 /tmp/tree; tar -C /tmp/tree -xf /tmp/tree.tar
        runuser -u slipway-seeder -- slipway publish --repo /var/lib/slipway-seeder/repository \\
        --keys /var/lib/slipway-seeder/keys --run-spec {run_spec} {artifact} /tmp/tree""", timeout=120
    )


def install_web_units(host):
    """The units of the service, and the right of the agent to restart it."""
    host.write("/etc/slipway/managed-units", "web.service")
    host.write("/etc/systemd/system/web.service", WEB_SERVICE)
    host.write("/etc/systemd/system/web.socket", WEB_SOCKET)
    host.shell("systemctl daemon-reload; systemctl enable --now web.socket")
