"""An orchestrator with simulated agents: they speak the real protocol over mutual TLS, and what they install is a word."""

import contextlib
import http.client
import json
import os
import tempfile
import threading
import time
from pathlib import Path

from harness import BIN, Case, Fleet, Process, write

QUICK = """version = 1
kind = "canary"
steps = [1, "50%", "100%"]
bake = "300ms"
max_unavailable = "50%"
max_unavailable_per_domain = "100%"
ready_deadline = "20s"
stage_deadline = "20s"
"""


def until(what, seconds=30, each=0.02):
    """Waits until `what()` is true, and gives what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(each)


class Orchestrator(Process):
    def __init__(self, test, tls, *flags, listen="127.0.0.1:0", **options):
        super().__init__(
            test,
            [BIN / "slipway-orchestrator", "run", "--listen", listen, "--set", "idle_ms=1000", *tls, *flags],
            **options,
        )
        found = self.line(r"listening https=(\S+)")
        self.address = found[1]
        self.url = f"https://{found[1]}"


class Client:
    """A party that asks the API; of several orchestrators the one that drives."""

    def __init__(self, context, addresses):
        self.context, self.addresses = context, addresses
        self.connection = None

    def once(self, method, path, body=None, headers=None, timeout=40):
        """(status, JSON or text, headers) of the present address."""
        for last in (False, True):
            fresh = self.connection is None
            if fresh:
                host, port = self.addresses()[0].rsplit(":", 1)
                self.connection = http.client.HTTPSConnection(host, int(port), timeout=timeout, context=self.context)
            try:
                text = None if body is None else json.dumps(body)
                self.connection.request(method, path, text, headers or {})
                answer = self.connection.getresponse()
                data = answer.read()
                break
            except (OSError, http.client.HTTPException):
                self.close()
                if fresh or last:
                    raise
        if answer.headers.get("Connection") == "close":
            self.close()
        if answer.headers.get_content_type() == "application/json":
            data = json.loads(data)
        return answer.status, data, answer.headers

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Agent(threading.Thread):
    """A host: obeys orders at once, except for releases in `bad` (the probe fails, it goes back by itself)."""

    def __init__(self, fleet, name, labels=None):
        super().__init__(daemon=True)
        self.fleet, self.host = fleet, name
        self.labels = labels or {"tier": "web"}
        self.client = Client(fleet.authority.python_context(fleet.authority.issue(f"agent/{name}")), fleet.addresses)
        self.running = self.previous = self.target = None
        self.staged, self.reported_bad, self.bad = [], [], fleet.bad
        self.epoch = self.generation = 0
        self.state, self.ready = "idle", False
        self.boot = os.urandom(8).hex()
        self.orders = []  # (epoch, generation, digest to run)
        self.stale = []  # Orders of an older epoch: must stay empty but where a test makes one.
        self.metrics = []
        self.silent = threading.Event()
        self.ended = threading.Event()

    def status(self, wait_ms=800):
        service = {
            "state": self.state, "running": self.running, "previous": self.previous, "target": self.target,
            "staged": self.staged[-32:], "ready": self.ready, "bad": self.reported_bad[-32:],
            "crashes": 0, "restarts": 0, "error": "",
        }
        return {
            "version": 1, "boot": self.boot, "epoch": self.epoch, "generation": self.generation, "wait_ms": wait_ms,
            "labels": self.labels, "services": {"web": service}, "metrics": self.metrics,
            "events": {"stream": "aa", "items": []},
        }

    def obey(self, answer):
        if answer["epoch"] < self.epoch:
            self.stale.append(answer)
            return
        self.epoch, self.generation = answer["epoch"], answer["generation"]
        desired = answer["desired"]
        if not desired:
            return
        service = desired["services"].get("web", {})
        for wanted in service.get("stage", []):
            if wanted["digest"] not in self.staged:
                self.staged.append(wanted["digest"])
        run = service.get("run")
        if not run or (self.target and self.target["digest"] == run["digest"]
                       and self.target["attempt"] == run.get("attempt", 0)):
            return
        self.orders.append((self.epoch, self.generation, run["digest"]))
        self.target = {"artifact": run["artifact"], "digest": run["digest"], "attempt": run.get("attempt", 0)}
        if self.running and self.running["digest"] == run["digest"]:
            self.state, self.ready = "healthy", True
            return
        self.previous = self.running
        if run["digest"] in self.bad:
            self.reported_bad.append({"digest": run["digest"], "attempt": run.get("attempt", 0), "reason": "probe: status 500"})
            self.state, self.ready = "rolled_back", self.running is not None
            return
        self.running = {"artifact": run["artifact"], "digest": run["digest"], "since_ms": int(time.time() * 1000)}
        if run["digest"] not in self.staged:
            self.staged.append(run["digest"])
        self.state, self.ready = "healthy", True

    def run(self):
        while not self.ended.is_set():
            if self.silent.is_set():
                self.ended.wait(0.05)
                continue
            try:
                status, answer, _ = self.client.once("POST", "/v1/agents/sync", self.status(), timeout=5)
                if status == 200:
                    self.obey(answer)
                    continue
            except (OSError, http.client.HTTPException):
                pass
            self.client.close()
            self.fleet.next_address()
            self.ended.wait(0.1)

    def end(self):
        self.ended.set()
        with contextlib.suppress(OSError):
            self.client.close()


class FleetCase(Case):
    """A repository with web@1.0 to web@1.2, an authority, and orchestrators that a test starts."""

    VERSIONS = ("1.0", "1.1", "1.2")

    @classmethod
    def setUpClass(cls):
        """Published once for all tests of a file: nobody changes it."""
        cls.shared = cls("shared_set_up")
        Case.setUp(cls.shared)
        cls.shared.init_repo()
        cls.digests = {}
        for version in cls.VERSIONS:
            tree = cls.shared.home / f"tree-{version}"
            write(tree / "run", f"#!/bin/sh\necho {version}\n", 0o755)
            cls.shared.publish(version, tree)
        listed = cls.shared.slipway("list", "--repo", cls.shared.repo, "--json").last_json()
        cls.digests = {entry["version"]: entry["digest"] for entry in listed["artifacts"]}
        cls.authority = Fleet(cls.shared)

    @classmethod
    def tearDownClass(cls):
        cls.shared.doCleanups()

    def shared_set_up(self):
        pass

    def setUp(self):
        super().setUp()
        self.bad = set()
        self.agents = []
        self.orchestrators = []
        self.first = 0
        self.database = f"sqlite:{self.home}/db"
        self.addCleanup(self.end_agents)

    # Processes -----------------------------------------------------------------------------------

    def start(self, name="o1", *flags, **options):
        tls = self.authority.flags(f"orchestrator/{name}")
        orchestrator = Orchestrator(
            self, tls, "--database", self.database, "--repo", self.shared.repo, "--state", self.home / name, *flags, **options
        )
        self.orchestrators.append(orchestrator)
        return orchestrator

    def kill(self, orchestrator):
        orchestrator.process.kill()
        orchestrator.process.wait()
        self.orchestrators.remove(orchestrator)

    def addresses(self):
        """Of those that run, beginning with the one that answered last."""
        alive = [one.address for one in self.orchestrators] or ["127.0.0.1:1"]
        first = self.first % len(alive)
        return alive[first:] + alive[:first]

    def next_address(self):
        self.first += 1

    def host_fleet(self, count=4, labels=None):
        for i in range(count):
            agent = Agent(self, f"h{i}", labels or {"tier": "web", "zone": f"z{i % 2}"})
            self.agents.append(agent)
        for agent in self.agents:
            agent.start()
        until(lambda: len(self.get("/v1/hosts")["items"]) == count)
        return self.agents

    def end_agents(self):
        for agent in self.agents:
            agent.end()
        for agent in self.agents:
            agent.join(5)

    # The API -------------------------------------------------------------------------------------

    def party(self, identity):
        name = identity.replace("/", "-").replace("?role=", "-")
        out = self.authority.issue(identity, name=name)
        return out

    def client(self, identity="operator/ann?role=admin"):
        return Client(self.authority.python_context(self.party(identity)), self.addresses)

    def ask(self, method, path, body=None, identity="operator/ann?role=admin", headers=None):
        """(status, JSON, headers); waits while nobody drives."""
        client = self.client(identity)
        deadline = time.monotonic() + 30
        try:
            while True:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    status, answer, got = client.once(method, path, body, headers)
                    if status != 503 or path == "/readyz":
                        return status, answer, got
                client.close()
                self.next_address()
                if time.monotonic() > deadline:
                    raise AssertionError(f"{method} {path}: nobody drives")
                time.sleep(0.05)
        finally:
            client.close()

    def get(self, path):
        status, answer, _ = self.ask("GET", path)
        self.assertEqual(status, 200, answer)
        return answer

    def put_environment(self, strategy=QUICK, good=None, **more):
        body = {"labels": "tier=web", "strategy_text": strategy, **more}
        if good:
            body["good"] = good
        status, answer, _ = self.ask("PUT", "/v1/services/web/environments/prod", body)
        self.assertEqual(status, 200, answer)
        return answer

    def deploy(self, version, **more):
        body = {"service": "web", "environment": "prod", "artifact": f"web@{version}", **more}
        status, answer, _ = self.ask("POST", "/v1/deployments", body)
        self.assertEqual(status, 201, answer)
        return answer["id"]

    def deployment(self, name):
        return self.get(f"/v1/deployments/{name}")

    def wait_for(self, name, *phases, seconds=40):
        """Until the deployment is in one of `phases` (or over), and gives it."""
        over = {"succeeded", "rolled_back", "failed"}
        found = until(
            lambda: next((d for d in [self.deployment(name)] if d["phase"] in (set(phases) | over)), None), seconds, 0.05
        )
        self.assertIn(found["phase"], phases, json.dumps(found, indent=1))
        return found

    def runs(self, version):
        return all(agent.running and agent.running["digest"] == self.digests[version] for agent in self.agents)

    # The command ---------------------------------------------------------------------------------

    def command(self, *args, identity="operator/ann?role=admin", **options):
        out = self.party(identity)
        environment = {
            **os.environ,
            "SLIPWAY_ORCHESTRATOR": ",".join(one.url for one in self.orchestrators),
            "SLIPWAY_TLS_CERT": str(out / "cert.pem"),
            "SLIPWAY_TLS_KEY": str(out / "key.pem"),
            "SLIPWAY_TLS_CA": str(self.authority.ca / "ca.pem"),
        }
        return self.slipway(*args, env=environment, **options)
