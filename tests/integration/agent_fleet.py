"""A real orchestrator, a real seeder and real agents, as processes on loopback with certificates of `slipway ca`."""

import json
import os
import socket

from harness import BIN, Case, Fleet, Process, Seeder, write
from orchestrator_fleet import FleetCase, until


class RealAgent(Process):
    """`slipway-agent run` of one host."""

    def __init__(self, test, name, urls, labels, root=None, **options):
        self.name, self.test = name, test
        self.root = root or test.home / name
        self.tls = test.authority.issue(f"agent/{name}")
        config = write(test.home / f"{name}.toml", self.config(urls, labels))
        super().__init__(test, [BIN / "slipway-agent", "run", "--config", config], **options)

    def config(self, urls, labels):
        quoted = ", ".join(json.dumps(str(url)) for url in urls)
        return f"""
orchestrator = [{quoted}]
root = "{self.root}"
trust = "{self.test.shared.trust}"
seeders = ["{self.test.seeder.url}"]
[tls]
certificate = "{self.tls / "cert.pem"}"
key = "{self.tls / "key.pem"}"
authority = "{self.test.authority.ca / "ca.pem"}"
[labels]
""" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in labels.items()) + """
[services.web.run]
version = 1
[[services.web.run.probes]]
type = "exec"
argv = ["probe"]
interval = "100ms"
failures = 2
"""

    def told(self):
        """What the daemon says about itself; none while it is not there."""
        try:
            with socket.socket(socket.AF_UNIX) as caller:
                caller.settimeout(5)
                caller.connect(str(self.root / "agent.sock"))
                answer = b""
                while part := caller.recv(65536):
                    answer += part
            return json.loads(answer)
        except (OSError, ValueError):
            return None

    def upstream(self):
        return (self.told() or {}).get("upstream") or {}

    def runs(self):
        """The version that `current` names."""
        link = self.root / "services/web/current"
        if not link.is_symlink():
            return None
        return (link / "version").read_text()

    def kill(self):
        self.process.kill()
        self.process.wait()


class AgentFleetCase(FleetCase):
    """Releases whose probe says by its exit status whether they are good."""

    VERSIONS = {"1.0": 0, "1.1": 0, "1.2": 0, "bad": 1}

    @classmethod
    def setUpClass(cls):
        cls.shared = cls("shared_set_up")
        Case.setUp(cls.shared)
        cls.shared.init_repo()
        for version, status in cls.VERSIONS.items():
            tree = cls.shared.home / f"tree-{version}"
            write(tree / "probe", f"#!/bin/sh\nexit {status}\n", 0o755)
            write(tree / "version", version)
            write(tree / "data", os.urandom(100_000))
            cls.shared.publish(version, tree)
        listed = cls.shared.slipway("list", "--repo", cls.shared.repo, "--json").last_json()
        cls.digests = {entry["version"]: entry["digest"] for entry in listed["artifacts"]}
        cls.authority = Fleet(cls.shared)

    def setUp(self):
        super().setUp()
        self.seeder = Seeder(self, self.shared.repo, *self.authority.flags("seeder/eu"))

    def real_agents(self, count, urls, **labels):
        self.hosts = [
            RealAgent(self, f"h{i}", urls, {"tier": "web", "zone": f"z{i % 2}", **labels}) for i in range(count)
        ]
        self.wait_online(count)
        return self.hosts

    def wait_online(self, count):
        return until(lambda: self.online() == count and self.online())

    def online(self):
        return sum(host["state"] == "online" for host in self.get("/v1/hosts")["items"])

    def all_run(self, version, hosts=None):
        return all(host.runs() == version for host in hosts or self.hosts)
