#!/usr/bin/env python3
"""A fleet of booted systems, all from their packages: an orchestrator that is the fleet's authority too, a seeder, and three
hosts that enroll, get a service by `slipway deploy`, lose the network, and are taken back from a broken release, while
clients ask the service all the time.

    packaging/build-deb && tests/system/test_fleet.py
"""

import json
import unittest
import urllib.request

import machines
from web_service import RUN_SPEC, STATE, Client, install_web_units, publish_tree, web_tree

ORCHESTRATOR, SEEDER = "10.77.0.1", "10.77.0.2"
HOSTS = {"web-1": "10.77.0.11", "web-2": "10.77.0.12", "web-3": "10.77.0.13"}
TLS_LINES = [("#[tls]", "[tls]"), *((f'#{key} = "/etc/slipway/tls/', f'{key} = "/etc/slipway/tls/') for key in ("certificate", "key", "authority"))]
CA = "/var/lib/slipway-orchestrator/ca"
TLS = "/etc/slipway/tls"
STRATEGY = """version = 1
kind = "canary"
steps = [1, "100%"]
bake = "1s"
max_unavailable = "70%"
max_unavailable_per_domain = "100%"
stage_deadline = "20s"
ready_deadline = "30s"
offline_budget = "40%"
"""


class FleetOfMachines(unittest.TestCase):
    """One story: each test goes on where the last one ended."""

    @classmethod
    def setUpClass(cls):
        cls.lab = machines.Lab()
        cls.addClassCleanup(cls.lab.end)
        cls.orchestrator = cls.lab.machine("orchestrator", ORCHESTRATOR)
        cls.seeder = cls.lab.machine("seeder", SEEDER)
        cls.hosts = {name: cls.lab.machine(name, address) for name, address in HOSTS.items()}

    def publish(self, version, **options):
        web_tree(self.lab.home / "tree", version, **options)
        publish_tree(self.seeder, f"web@{version}", self.lab.home / "tree")

    def slipway(self, words, check=True, timeout=120):
        """The command of an operator, on the orchestrator's machine."""
        tls = " ".join(f"SLIPWAY_TLS_{key}=/root/ann/{file}.pem" for key, file in (("CERT", "cert"), ("KEY", "key"), ("CA", "ca")))
        line = f"{tls} SLIPWAY_ORCHESTRATOR=https://{ORCHESTRATOR}:7443 slipway {words}"
        return self.orchestrator.shell(line, check=check, timeout=timeout)

    def deploy(self, version, check=True):
        return self.slipway(f"deploy web web@{version} --env prod --strategy /root/strategy.toml --wait", check=check)

    def reported(self):
        """What the orchestrator knows of each host."""
        lines = self.slipway("hosts --json", check=False).splitlines()
        return {host["host"]: host for host in map(json.loads, lines)}

    def running(self, name):
        link = self.hosts[name].shell(f"readlink {STATE}/services/web/current", check=False)
        return link.strip().rsplit("/", 1)[-1].split("-")[0]

    def clients(self, names=tuple(HOSTS)):
        clients = [Client(HOSTS[name]) for name in names]
        for client in clients:
            self.addCleanup(client.end)
        self.orchestrator.wait(lambda: all(len(client.answers) > 20 for client in clients))
        return clients

    def ended(self, clients):
        asked = [len(client.answers) for client in clients]
        self.orchestrator.wait(lambda: all(len(client.answers) > before + 20 for client, before in zip(clients, asked)))
        for client in clients:
            client.end()
            self.assertEqual(client.failures, [])

    def configure(self, machine, file, *lines):
        """Puts each line of the package's file, of which the first half of a pair is, in use as its second half."""
        text = machine.shell(f"cat {file}")
        for shipped, used in lines:
            self.assertIn(shipped, text)
            text = text.replace(shipped, used)
        machine.write(file, text)

    def issue(self, identity, out, *flags):
        self.orchestrator.shell(f"slipway ca issue --ca {CA} '{identity}' --out {out} {' '.join(flags)}")

    def test_01_an_orchestrator_that_is_the_authority(self):
        machine = self.orchestrator
        machine.install("slipway", "slipway-orchestrator")
        machine.write("/root/strategy.toml", STRATEGY)
        user = "runuser -u slipway-orchestrator --"
        machine.shell(f"install -d -o slipway-orchestrator -m 700 {CA} {TLS}; {user} slipway ca init --ca {CA}")
        machine.shell(f"{user} slipway ca issue --ca {CA} orchestrator/main --out {TLS} --ip {ORCHESTRATOR}")
        self.issue("operator/ann?role=admin", "/root/ann")
        self.issue("seeder/eu", "/root/seeder", "--ip", SEEDER)
        machine.shell(f"chown -R slipway-orchestrator {CA}")
        self.configure(
            machine,
            "/etc/slipway/orchestrator.toml",
            ('#listen = "127.0.0.1:7443"', f'listen = "{ORCHESTRATOR}:7443"'),
            ('#repository = "https://seeder.example:7070"', f'repository = "https://{SEEDER}:7070"'),
            ('#trust = "/etc/slipway/root.json"', 'trust = "/etc/slipway/root.json"'),
            *TLS_LINES,
            ("#[enroll]", "[enroll]"),
            ('#listen = "0.0.0.0:7072"', 'listen = "0.0.0.0:7072"'),
            (f'#authority = "{CA}"', f'authority = "{CA}"'),
        )
        machine.shell("slipway-orchestrator run --config /etc/slipway/orchestrator.toml --check-config")

    def test_02_a_seeder_with_its_certificate(self):
        seeder = self.seeder
        seeder.install("slipway", "slipway-seeder")
        seeder.shell(f"install -d -o slipway-seeder -m 700 {TLS}")
        for file in ("cert.pem", "key.pem", "ca.pem"):
            seeder.write(f"{TLS}/{file}", self.orchestrator.shell(f"cat /root/seeder/{file}").rstrip("\n"), 0o600)
        seeder.shell(f"chown slipway-seeder {TLS}/*")
        seeder.write("/etc/run.json", json.dumps(RUN_SPEC))
        home = "/var/lib/slipway-seeder"
        seeder.shell(f"runuser -u slipway-seeder -- slipway repo init --repo {home}/repository --keys {home}/keys")
        self.publish("1.0")
        listen = ('#listen = "127.0.0.1:7070"', f'listen = "{SEEDER}:7070"')
        self.configure(seeder, "/etc/slipway/seeder.toml", listen, *TLS_LINES)
        seeder.shell("systemctl enable --now slipway-seeder")
        root = seeder.shell(f"slipway repo root export --repo {home}/repository")
        for machine in (self.orchestrator, *self.hosts.values()):
            machine.write("/etc/slipway/root.json", root.rstrip("\n"))
        self.orchestrator.shell("systemctl enable --now slipway-orchestrator")
        self.orchestrator.wait(lambda: "services" in self.slipway("status --json", check=False))

    def test_03_hosts_enroll(self):
        for name, host in self.hosts.items():
            host.install("slipway-agent")
            token = self.orchestrator.shell(f"runuser -u slipway-orchestrator -- slipway ca token --ca {CA} agent/{name} --json")
            host.write("/run/token", json.loads(token)["token"])
            host.shell("chown slipway /run/token")
            host.shell(f"runuser -u slipway -- slipway-agent enroll --orchestrator http://{ORCHESTRATOR}:7072 --token-file /run/token --out {TLS}")
            self.configure(
                host,
                "/etc/slipway/agent.toml",
                ('#seeders = ["https://seeder.eu.example:7070"]', f'seeders = ["https://{SEEDER}:7070"]'),
                ('#orchestrator = ["https://orchestrator.example:7443"]', f'orchestrator = ["https://{ORCHESTRATOR}:7443"]'),
                ('#trust = "', 'trust = "'),
                ('#listen = "0.0.0.0:6881"', f'listen = "{HOSTS[name]}:6881"'),
                *TLS_LINES,
                ("#[labels]", '[labels]\ntier = "web"'),
            )
            install_web_units(host)
            host.shell("systemctl enable --now slipway-agent")
        self.orchestrator.wait(lambda: set(self.reported()) == set(HOSTS))

    def test_04_a_release_for_all(self):
        self.slipway("environment web prod --labels tier=web")
        self.deploy("1.0")
        for name in HOSTS:
            self.assertEqual(self.running(name), "1.0")
        clients = self.clients()
        self.publish("1.1")
        self.deploy("1.1")
        self.ended(clients)
        for client in clients:
            self.assertEqual(client.versions(), ["1.0", "1.1"])
        print(f"{sum(len(client.answers) for client in clients)} requests over three switches, none failed", end=" ... ", flush=True)

    def test_05_a_broken_release_stays_on_the_canary_and_is_taken_back(self):
        clients = self.clients()
        self.publish("1.2", status="500 Broken")
        said = self.deploy("1.2", check=False)
        self.assertIn("rolled", said)
        self.ended(clients)
        self.assertEqual([self.running(name) for name in HOSTS], ["1.1"] * 3)
        seen = sorted("1.2" in client.versions() for client in clients)
        self.assertEqual(seen, [False, False, True], "one canary, and no other host")

    def test_06_a_host_without_a_network_follows_when_it_is_back(self):
        self.hosts["web-3"].unplug()
        self.orchestrator.wait(lambda: self.reported()["web-3"]["state"] == "lost")
        self.publish("1.3")
        self.deploy("1.3")
        self.assertEqual([self.running(name) for name in HOSTS], ["1.3", "1.3", "1.1"])
        self.hosts["web-3"].plug()
        self.hosts["web-3"].wait(lambda: self.running("web-3") == "1.3", 90)

    def test_07_the_orchestrator_is_killed_in_the_middle(self):
        clients = self.clients()
        self.publish("1.4")
        begun = json.loads(self.slipway("deploy web web@1.4 --env prod --strategy /root/strategy.toml --json").splitlines()[-1])
        self.orchestrator.wait(lambda: any(self.running(name) == "1.4" for name in HOSTS))
        self.orchestrator.kill()
        clients[0].end()
        self.orchestrator.boot()
        self.orchestrator.wait(lambda: all(self.running(name) == "1.4" for name in HOSTS), 120)
        self.orchestrator.wait(lambda: json.loads(self.slipway(f"status {begun['id']} --json", check=False))["phase"] == "succeeded")
        self.ended(clients[1:])

    def test_08_purge(self):
        self.orchestrator.shell("dpkg --purge slipway-orchestrator; test ! -e /var/lib/slipway-orchestrator", timeout=120)
        host = self.hosts["web-1"]
        host.shell("systemctl stop web.socket web.service; dpkg --purge slipway-agent", timeout=120)
        host.shell(f"test ! -e {STATE}; test ! -e {TLS}")
        self.assertEqual(urllib.request.urlopen(f"http://{HOSTS['web-2']}:8080/", timeout=5).read(), b"1.4")


if __name__ == "__main__":
    machines.main()
