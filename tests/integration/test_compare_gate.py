"""The judge of canaries in a real orchestrator: from what agents report, and from a Prometheus server."""

import contextlib
import http.server
import json
import math
import random
import re
import sqlite3
import time
import urllib.parse
from pathlib import Path

from harness import main, serve_http, write
from orchestrator_fleet import FleetCase, until

COMPARED = """version = 1
kind = "canary"
steps = ["50%", "100%"]
bake = "3s"
max_unavailable = "100%"
max_unavailable_per_domain = "100%"
[[gate]]
name = "canary"
kind = "compare"
interval = "1s"
"""
REPORTED = COMPARED + """
[[gate.metrics]]
name = "latency"
kind = "value"
warm_up_s = 0
harm_max = "0.5"
[[gate.metrics]]
name = "errors"
kind = "count"
warm_up_s = 0
"""
QUERIED = COMPARED + """server = "second"
[[gate.metrics]]
name = "latency"
kind = "value"
warm_up_s = 0
harm_max = "0.5"
query = "latency by host"
"""
HOSTS = 10


class Measured:
    """What an agent says of its service: a list that is drawn anew for each report."""

    def __init__(self, test, agent):
        self.test, self.agent, self.random = test, agent, random.Random(agent.host)
        self.errors = self.requests = self.said = 0

    def latency(self):
        return 100 * math.exp(0.05 * self.random.gauss(0, 1)) * (self.test.factor if self.is_new() else 1)

    def is_new(self):
        running = self.agent.running
        return bool(running) and running["digest"] == self.test.digests["1.1"]

    def __call__(self):
        self.said += 1
        if self.test.dark and self.is_new():
            return []
        self.requests += 2_000
        self.errors += 1 + (self.test.more_errors if self.is_new() else 0)
        shared = {"service": "web", "running_s": 60, "process": 7}
        return [{**shared, "name": "latency", "kind": "value", "amount": self.latency()},
                {**shared, "name": "errors", "kind": "count", "amount": self.errors, "exposure": self.requests}]


class Comparing(FleetCase):
    def setUp(self):
        super().setUp()
        self.factor, self.more_errors, self.dark = 1, 0, False

    def measured_fleet(self, strategy, *flags):
        self.start("o1", *flags)
        self.host_fleet(HOSTS)
        self.put_environment(COMPARED.split("[[gate]]")[0].replace("3s", "100ms"))
        self.wait_for(self.deploy("1.0"), "succeeded")
        until(lambda: self.runs("1.0"))
        for agent in self.agents:
            plain, measured = agent.status, Measured(self, agent)
            agent.measured = measured
            agent.status = lambda wait_ms=800, plain=plain, measured=measured: {
                **plain(min(wait_ms, 400)), "metrics": measured()}
        self.put_environment(strategy)

    def evidence(self, name):
        items = self.get(f"/v1/deployments/{name}/evidence?limit=1000")["items"]
        return json.dumps(items)

    def looks_kept(self):
        """Of the judge in the database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.home}/db?mode=ro", uri=True)) as database:
            found = database.execute("SELECT body FROM documents WHERE collection = 'judges'").fetchall()
        return json.loads(found[0][0])["looks"] if found else 0

    def reports(self):
        return min(agent.measured.said for agent in self.agents)

    def new_hosts(self):
        return sum(agent.measured.is_new() for agent in self.agents)

    def test_a_healthy_canary_passes_with_its_numbers_in_the_log_and_across_a_kill(self):
        self.measured_fleet(REPORTED)
        name = self.deploy("1.1")
        self.wait_for(name, "baking")
        until(lambda: self.looks_kept() >= 2)
        looks = self.looks_kept()
        self.kill(self.orchestrators[0])
        self.start("o2")
        self.wait_for(name, "succeeded", seconds=50)
        self.assertEqual(self.new_hosts(), HOSTS)
        said = self.evidence(name)
        self.assertGreater(max(int(found) for found in re.findall(r"\| (\d+) looks", said)), looks)
        until(lambda: self.looks_kept() == 0)  # The batch is over, and so is its judge.
        self.assertIn("latency: pass, surely less than 1.5 times as bad; canary", said)
        self.assertIn("errors: pass, ", said)
        self.assertIn("(5 hosts), baseline", said)

    def test_a_slower_canary_is_rolled_back_with_the_numbers_that_say_why(self):
        self.factor = 3
        self.measured_fleet(REPORTED)
        page = (Path(__file__).parents[2] / "docs" / "judge.md").read_text()
        example = re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1]
        body = {"service": "web", "environment": "prod", "artifact": "web@1.1", "strategy_text": example}
        status, answer, _ = self.ask("POST", "/v1/plans", body)
        self.assertEqual(status, 200, answer)
        name = self.deploy("1.1")
        self.wait_for(name, "rolled_back")
        until(lambda: self.runs("1.0"))
        shown = self.deployment(name)
        self.assertIn("gate canary: latency: fail, worse than the tolerated 1.03 times (p ", json.dumps(shown))
        self.assertIn("latency: fail", self.evidence(name))

    def test_a_canary_with_more_errors_is_rolled_back(self):
        self.more_errors = 40
        self.measured_fleet(REPORTED)
        name = self.deploy("1.1")
        self.wait_for(name, "rolled_back")
        self.assertIn("errors: fail, worse than the tolerated 1.25 times (evidence ", self.evidence(name))

    def test_missing_data_hold_until_a_person_promotes(self):
        self.dark = True
        self.measured_fleet(REPORTED)
        name = self.deploy("1.1")
        self.wait_for(name, "baking")
        until(lambda: "data are missing" in self.evidence(name))
        before = self.reports()
        until(lambda: self.reports() > before + 12)  # Past the bake, and some looks.
        self.assertEqual(self.deployment(name)["phase"], "baking")
        self.assertEqual(self.new_hosts(), HOSTS // 2)
        self.assertEqual(self.deployment(name)["waits_for"]["gate"], "canary")
        status, answer, _ = self.ask("POST", f"/v1/deployments/{name}/promote", {"why": "seen by eye"})
        self.assertEqual(status, 200, answer)
        self.wait_for(name, "succeeded")

    def test_the_server_that_the_gate_names_is_asked_and_an_unknown_one_refused(self):
        test, asked = self, []

        class Prometheus(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                asked.append(form["query"][0])
                result = [{"metric": {"instance": f"{agent.host}:9100"}, "value": [time.time(), str(agent.measured.latency())]}
                          for agent in test.agents]
                reply = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_):
                pass

        _, url = serve_http(self, Prometheus)
        config = write(self.home / "orchestrator.toml", f"""
[prometheus.first]
url = "http://127.0.0.1:1"
[prometheus.second]
url = "{url}"
""")
        self.factor = 3
        self.measured_fleet(QUERIED, "--config", config)
        for wrong in (QUERIED.replace('"second"', '"third"'), QUERIED.replace('server = "second"', "")):
            body = {"service": "web", "environment": "prod", "artifact": "web@1.1", "strategy_text": wrong}
            status, answer, _ = self.ask("POST", "/v1/plans", body)
            self.assertEqual(status, 400, answer)
            self.assertIn("gate 'canary': ", json.dumps(answer))
        name = self.deploy("1.1")
        self.wait_for(name, "rolled_back")
        self.assertIn("latency: fail", self.evidence(name))
        self.assertIn("latency by host", asked)


if __name__ == "__main__":
    main()
