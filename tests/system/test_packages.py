#!/usr/bin/env python3
"""The packages on booted systems: a seeder and a host, a socket-activated service that is deployed, broken, cut off from
the network, killed in the middle of an install, upgraded and purged, while a client asks it all the time.

    packaging/build-deb && tests/system/test_packages.py
"""

import json
import os
import re
import shutil
import socket
import unittest
import urllib.request

import machines
from web_service import RUN_SPEC, STATE, Client, install_web_units, publish_tree, web_tree

SEEDER, HOST = "10.77.0.1", "10.77.0.2"


class Packages(unittest.TestCase):
    """One story: each test goes on where the last one ended."""

    @classmethod
    def setUpClass(cls):
        cls.lab = machines.Lab()
        cls.addClassCleanup(cls.lab.end)
        cls.seeder = cls.lab.machine("seeder", SEEDER)
        cls.host = cls.lab.machine("host", HOST)
        cls.epoch = 0

    def new_tree(self):
        tree = self.lab.home / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        return tree

    def publish(self, version, status="200 OK", extra=b""):
        web_tree(self.lab.home / "tree", version, status, extra)
        publish_tree(self.seeder, f"web@{version}", self.lab.home / "tree")

    def want(self, version, agent=None):
        type(self).epoch += 1
        wanted = {"version": 1, "epoch": self.epoch, "services": {"web": {"run": {"artifact": f"web@{version}"}}}}
        if agent:
            wanted["services"]["slipway-agent"] = {"run": {"artifact": f"slipway-agent@{agent}"}}
        self.host.write("/etc/slipway/desired.json", json.dumps(wanted))

    def status(self, service="web"):
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(5)
            caller.connect(str(self.host.root / STATE.lstrip("/") / "agent.sock"))
            answer = b""
            while part := caller.recv(65536):
                answer += part
        return json.loads(answer)["services"][service]

    def wait_for(self, seconds=60, service="web", **expected):
        def holds():
            status = self.status(service)
            return status if all(status[key] == value for key, value in expected.items()) else None

        return self.host.wait(holds, seconds)

    def running(self):
        return self.status()["running"]["artifact"]

    def as_agent(self, line):
        return self.host.shell(f"runuser -u slipway -- sh -c '{line}' 2>&1 || echo refused", check=False)

    def test_01_a_seeder_from_its_package(self):
        seeder = self.seeder
        seeder.install("slipway", "slipway-seeder")
        self.assertEqual(seeder.shell("systemctl is-enabled slipway-seeder || true").strip(), "disabled")
        seeder.write("/etc/run.json", json.dumps(RUN_SPEC))
        home = "/var/lib/slipway-seeder"
        seeder.shell(f"runuser -u slipway-seeder -- slipway repo init --repo {home}/repository --keys {home}/keys")
        self.publish("1.0")
        file = seeder.shell("cat /etc/slipway/seeder.toml")
        file = file.replace('#listen = "127.0.0.1:7070"', f'listen = "{SEEDER}:7070"').replace("#open = false", "open = true")
        seeder.write("/etc/slipway/seeder.toml", file)
        seeder.shell("slipway-seeder run --config /etc/slipway/seeder.toml --check-config; systemctl enable --now slipway-seeder")
        answer = seeder.wait(lambda: urllib.request.urlopen(f"http://{SEEDER}:7070/healthz", timeout=5).status)
        self.assertEqual(answer, 200)

    def test_02_an_agent_without_privilege(self):
        host = self.host
        host.install("slipway-agent")
        root = self.seeder.shell("slipway repo root export --repo /var/lib/slipway-seeder/repository")
        host.write("/etc/slipway/root.json", root.rstrip("\n"))
        file = host.shell("cat /etc/slipway/agent.toml")
        file = file.replace('#seeders = ["https://seeder.eu.example:7070"]', f'seeders = ["http://{SEEDER}:7070"]')
        host.write("/etc/slipway/agent.toml", file.replace('#trust = "', 'trust = "'))
        install_web_units(host)
        host.shell("systemctl enable --now slipway-agent")
        self.assertEqual(host.shell("systemctl is-active slipway-agent").strip(), "active")
        pid = host.shell("systemctl show --value -p MainPID slipway-agent").strip()
        process = host.shell(f"cat /proc/{pid}/status")
        for right in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
            self.assertRegex(process, rf"{right}:\s+0{{16}}\n")
        self.assertRegex(process, r"NoNewPrivs:\s+1")
        self.assertNotRegex(process, r"Uid:\s+0\s")

    def test_03_a_deployment_without_a_failed_request(self):
        self.want("1.0")
        self.wait_for(state="healthy", wanted="web@1.0")
        client = Client(HOST)
        self.addCleanup(client.end)
        self.host.wait(lambda: len(client.answers) > 20)
        self.publish("1.1")
        self.want("1.1")
        self.wait_for(state="healthy", wanted="web@1.1")
        asked = len(client.answers)
        self.host.wait(lambda: len(client.answers) > asked + 20)
        client.end()
        self.assertEqual(client.failures, [])
        self.assertEqual({status for status, _ in client.answers}, {200})
        self.assertEqual(client.versions(), ["1.0", "1.1"])
        print(f"{len(client.answers)} requests over the switch, none failed", end=" ... ", flush=True)

    def test_04_a_broken_release_is_taken_back(self):
        client = Client(HOST)
        self.addCleanup(client.end)
        self.publish("1.2", status="500 Broken")
        self.want("1.2")
        status = self.wait_for(state="rolled-back")
        self.assertIn("web@1.2", json.dumps(status["quarantine"]))
        self.assertEqual(self.running(), "web@1.1")
        self.host.wait(lambda: client.answers and client.answers[-1] == (200, "1.1"))
        client.end()
        self.assertEqual(client.failures, [], "even the broken release loses no connection")
        self.assertEqual(client.versions(), ["1.1", "1.2", "1.1"])

    def test_05_the_agent_may_restart_its_units_and_no_other(self):
        call = "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"
        self.assertIn("/org/freedesktop/systemd1/job", self.as_agent(f"{call} RestartUnit ss web.service replace"))
        for unit in ("dbus.service", "slipway-installer.service", "web.socket"):
            self.assertIn("refused", self.as_agent(f"{call} RestartUnit ss {unit} replace"), unit)
        self.assertIn("refused", self.as_agent(f"{call} KillUnit ssi web.service all 9"))
        self.assertIn("refused", self.as_agent(f"mv {STATE}/services {STATE}/other"))
        self.assertIn("refused", self.as_agent(f"touch {STATE}/services/web/current/serve"))
        self.assertIn("refused", self.as_agent("echo dbus.service >> /etc/slipway/managed-units"))
        namespace = "readlink /proc/$(systemctl show --value -p MainPID slipway-installer)/ns/net"
        self.assertNotEqual(self.host.shell(namespace), self.host.shell("readlink /proc/1/ns/net"), "the installer has no network")

    def test_06_without_a_network_what_runs_runs_on(self):
        self.host.unplug()
        self.publish("1.3")
        self.want("1.3")
        self.host.wait(lambda: (self.status()["last_error"] or "") and self.status()["state"] == "staging")
        ask = "import socket; s = socket.create_connection((\"127.0.0.1\", 8080)); s.sendall(b\"GET /\"); print(s.recv(999))"
        self.assertIn("1.1", self.host.shell(f"python3 -c '{ask}'"))
        self.host.plug()
        self.wait_for(state="healthy", wanted="web@1.3", seconds=120)

    def test_07_killed_in_the_middle_of_an_install(self):
        self.publish("1.4", extra=os.urandom(48_000_000))
        self.want("1.4")
        staging = self.host.root / STATE.lstrip("/") / "services/web/staging"
        self.host.wait(lambda: any(staging.rglob("data*")))
        self.assertEqual(self.running(), "web@1.3")
        self.host.kill()
        self.host.boot()
        client = Client(HOST)
        self.addCleanup(client.end)
        self.wait_for(state="healthy", wanted="web@1.4", seconds=120)
        self.host.wait(lambda: client.answers and client.answers[-1] == (200, "1.4"))
        client.end()
        self.assertEqual({status for status, _ in client.answers}, {200})
        self.assertIn(client.versions(), (["1.3", "1.4"], ["1.4"]))
        self.host.shell(f"slipway-agent verify --service web --root {STATE}")
        self.assertEqual(list(staging.iterdir()) if staging.exists() else [], [])

    def test_08_an_upgrade_of_the_package_keeps_all(self):
        packages = self.lab.home / "newer"
        # dpkg-deb alone: the same package under a higher version.
        machines.run("dpkg-deb", "-R", machines.package("slipway-agent"), packages)
        control = packages / "DEBIAN/control"
        control.write_text(re.sub(r"(?m)^Version: .*", "Version: 99.0", control.read_text()))
        machines.run("dpkg-deb", "--root-owner-group", "-b", packages, self.lab.home / "newer.deb")
        before = self.host.shell("systemctl show --value -p MainPID slipway-agent")
        client = Client(HOST)
        self.addCleanup(client.end)
        self.host.copy_in(self.lab.home / "newer.deb", "/tmp/newer.deb")
        self.host.shell("dpkg --install /tmp/newer.deb", timeout=120)
        self.assertNotEqual(self.host.shell("systemctl show --value -p MainPID slipway-agent"), before)
        self.wait_for(state="healthy", wanted="web@1.4")
        client.end()
        self.assertEqual((client.failures, client.versions()), ([], ["1.4"]), "the service does not notice")
        self.assertIn(SEEDER, self.host.shell("cat /etc/slipway/agent.toml"))
        self.want("1.3")
        self.wait_for(state="healthy", wanted="web@1.3")

    def agent_program(self):
        return self.host.shell("readlink /proc/$(systemctl show --value -p MainPID slipway-agent)/exe").strip()

    def publish_agent(self, version, program):
        tree = self.new_tree()
        (tree / "slipway-agent").write_bytes(program)
        (tree / "slipway-agent").chmod(0o755)
        (tree / "version").write_text(version)
        publish_tree(self.seeder, f"slipway-agent@{version}", tree, "/etc/run-agent.json")

    def test_09_the_agent_upgrades_itself_and_comes_back_when_it_is_broken(self):
        host, releases = self.host, f"{STATE}/services/slipway-agent/releases"
        self.seeder.write("/etc/run-agent.json", json.dumps({"version": 1, "unit": {"name": "slipway-agent.service"}}))
        host.write("/etc/slipway/managed-units", "web.service\nslipway-agent.service")
        place = "/etc/systemd/system/slipway-agent.service.d"
        host.shell(f"""mkdir {place}; cp /usr/share/doc/slipway-agent/examples/self-upgrade.conf {place}
            systemctl daemon-reload; systemctl restart slipway-agent""")
        self.assertEqual(self.agent_program(), "/usr/bin/slipway-agent", "before there is a release")
        machines.run("dpkg-deb", "-x", machines.package("slipway-agent"), self.lab.home / "unpacked")
        program = (self.lab.home / "unpacked/usr/bin/slipway-agent").read_bytes()
        client = Client(HOST)
        self.addCleanup(client.end)
        for version in ("1", "2"):
            self.publish_agent(version, program)
            self.want("1.3", agent=version)
            self.wait_for(service="slipway-agent", state="healthy", wanted=f"slipway-agent@{version}")
            self.assertTrue(self.agent_program().startswith(f"{releases}/{version}-"), self.agent_program())
        self.publish_agent("3", b"#!/bin/sh\nexit 1\n")
        self.want("1.3", agent="3")
        host.wait(lambda: host.shell("systemctl show --value -p ExecMainStartTimestamp slipway-agent-rollback").strip(), 90)
        status = self.wait_for(service="slipway-agent", seconds=90, state="rolled-back")
        self.assertIn("slipway-agent@3", json.dumps(status["quarantine"]))
        self.assertTrue(self.agent_program().startswith(f"{releases}/2-"), self.agent_program())
        client.end()
        self.assertEqual((client.failures, client.versions()), ([], ["1.3"]), "the services do not notice")

    def test_10_removal_keeps_the_state_and_purge_removes_it(self):
        host = self.host
        host.shell("dpkg --remove slipway-agent", timeout=120)
        self.assertEqual(host.shell("systemctl is-active slipway-agent slipway-installer.socket || true").split(), ["inactive"] * 2)
        host.shell(f"test -e {STATE}/services/web/current/serve; test -e /etc/slipway/agent.toml")
        host.shell("systemctl stop web.socket web.service; dpkg --purge slipway-agent", timeout=120)
        host.shell(f"test ! -e {STATE}; test ! -e /etc/slipway/agent.toml; test ! -e /lib/systemd/system/slipway-agent.service")
        self.seeder.shell("dpkg --purge slipway-seeder; test ! -e /var/lib/slipway-seeder", timeout=120)


if __name__ == "__main__":
    machines.main()
