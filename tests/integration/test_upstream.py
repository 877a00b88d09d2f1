#!/usr/bin/env python3
"""Real agents that take their orders from a real orchestrator: deployments, rollbacks, orchestrators that die, are replaced or are old."""

import contextlib
import http.client
import http.server
import json
import re
import sqlite3
import ssl
import threading
import time
from pathlib import Path

import yaml

from agent_fleet import AgentFleetCase, RealAgent
from harness import FAILED, LONG, main
from orchestrator_fleet import QUICK, Client, until
from test_orchestrator_api import Schema

PAGE = Path(__file__).resolve().parents[2] / "docs/api/agents.yaml"
SLOW = QUICK.replace('bake = "300ms"', 'bake = "1s"')


class Recorder:
    """Stands between one agent and the orchestrator, and keeps what both say."""

    def __init__(self, test, orchestrator, agent):
        self.said = []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                client = Client(test.authority.python_context(agent), lambda: [orchestrator.address])
                try:
                    status, answer, _ = client.once("POST", self.path, json.loads(body))
                except (OSError, http.client.HTTPException):
                    status, answer = 502, {}
                finally:
                    client.close()
                recorder.said.append((self.path, json.loads(body), status, answer))
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                with contextlib.suppress(OSError):  # The agent may be gone.
                    self.end_headers()
                    self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        party = test.authority.issue("orchestrator/between")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(party / "cert.pem", party / "key.pem")
        context.load_verify_locations(str(test.authority.ca / "ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        for last in (thread.join, self.server.server_close, self.server.shutdown):
            test.addCleanup(last)


class Upstream(AgentFleetCase):
    def first_release(self, count=2, urls=None, version="1.0", strategy=QUICK):
        """Hosts that run a release that a deployment brought them."""
        if not self.orchestrators:
            self.start()
        hosts = self.real_agents(count, urls or [self.orchestrators[0].url])
        self.put_environment(strategy)
        self.command("deploy", "web", f"web@{version}", "--env", "prod", "--wait")
        until(lambda: self.all_run(version))
        return hosts

    def test_a_good_release_is_everywhere_and_a_bad_one_goes_back(self):
        hosts = self.first_release(3)
        self.command("deploy", "web", "web@1.1", "--env", "prod", "--wait")
        self.assertTrue(self.all_run("1.1"))
        bad = self.command("deploy", "web", "web@bad", "--env", "prod", "--wait", status=FAILED)
        self.assertIn("rolled_back", bad.out + bad.err)
        until(lambda: self.all_run("1.1"))
        # One host tried it, and went back by itself; no other switched to it.
        tried = [host for host in hosts if "web@bad" in json.dumps(host.told()["services"]["web"]["quarantine"])]
        self.assertEqual(len(tried), 1)
        for host in hosts:
            status = until(lambda: host.told()["services"]["web"]["state"] in ("healthy", "rolled-back") and host.told())
            self.assertEqual(status["services"]["web"]["running"]["artifact"], "web@1.1")
        # What the host is said to be doing.
        shown = until(lambda: next(
            (host for host in [self.get(f"/v1/hosts/{tried[0].name}")] if host["services"]["web"]["bad"]), None))
        self.assertEqual(shown["labels"]["tier"], "web")
        self.assertEqual(shown["services"]["web"]["bad"][0]["digest"], self.digests["bad"])
        self.assertTrue(shown["services"]["web"]["ready"])
        self.assertIn("probe", shown["services"]["web"]["bad"][0]["reason"])
        self.check_status(hosts[0])
        self.check_events(hosts)

    def check_status(self, host):
        upstream = host.upstream()
        self.assertTrue(upstream["connected"])
        self.assertEqual(upstream["url"], self.orchestrators[0].url)
        self.assertGreater(upstream["epoch"], 0)
        self.assertLess(abs(time.time() - upstream["answered_unix_s"]), 30)
        said = self.agent("status", "--root", host.root).out
        self.assertRegex(said, rf"orchestrator {re.escape(upstream['url'])}: connected since 2\d+-\S+Z, last answer 2\d+-\S+Z, \d+ events")

    def check_events(self, hosts):
        """Kept by the orchestrator, each once and in order, and forgotten by the host."""
        until(lambda: all(host.upstream().get("events_queued") == 0 for host in hosts))
        with sqlite3.connect(f"file:{self.home}/db?mode=ro", uri=True) as database:
            for host in hosts:
                rows = database.execute(
                    "SELECT stream, id, body FROM host_events WHERE host = ? ORDER BY id", (host.name,)).fetchall()
                self.assertEqual([row[1] for row in rows], list(range(1, len(rows) + 1)))
                self.assertEqual(len({row[0] for row in rows}), 1)
                kinds = [json.loads(row[2])["kind"] for row in rows]
                self.assertIn("healthy", kinds)

    def test_an_orchestrator_that_is_killed_amid_a_deployment_goes_on_with_it(self):
        orchestrator = self.start()
        hosts = self.first_release(2, strategy=SLOW)
        for phase in ("baking", "moving", "staging") if LONG else ("baking",):
            version = {"baking": "1.1", "moving": "1.2", "staging": "1.1"}[phase]
            name = self.deploy(version)
            if phase != "staging":
                until(lambda: self.deployment(name)["phase"] in (phase, "baking", "succeeded"))
            self.kill(orchestrator)
            before = [host.runs() for host in hosts]
            self.assertTrue(all(before), before)
            orchestrator = self.start("o1", listen=orchestrator.address)
            self.wait_for(name, "succeeded", seconds=30)
            self.assertTrue(self.all_run(version), f"{phase}: {[host.runs() for host in hosts]}")

    def test_without_an_orchestrator_nothing_changes_and_hosts_come_back(self):
        orchestrator = self.start()
        hosts = self.first_release()
        links = [(host.root / "services/web/current").lstat() for host in hosts]
        self.kill(orchestrator)
        until(lambda: all(host.upstream().get("connected") is False for host in hosts))
        hosts[0].kill()  # A host that starts meanwhile has its state, its epoch and its events.
        hosts[0] = RealAgent(self, "h0", [orchestrator.url], {"tier": "web", "zone": "z0"})
        until(lambda: hosts[0].upstream().get("error"))
        self.assertIn("onnect", hosts[0].upstream()["error"])
        self.assertGreater(hosts[0].upstream()["epoch"], 0)
        self.assertTrue(self.all_run("1.0", hosts))
        self.assertEqual([(host.root / "services/web/current").lstat().st_ino for host in hosts], [l.st_ino for l in links])
        self.start("o1", listen=orchestrator.address)
        self.hosts = hosts
        self.wait_online(2)
        until(lambda: all(host.upstream().get("connected") for host in hosts))
        self.command("deploy", "web", "web@1.1", "--env", "prod", "--wait")
        self.assertTrue(self.all_run("1.1"))
        self.check_events(hosts)  # No id of the host that was killed came twice, and none is missing.

    def test_of_two_reports_the_older_one_says_nothing(self):
        orchestrator = self.start()
        client = Client(self.authority.python_context(self.authority.issue("agent/h9")), lambda: [orchestrator.address])
        until(lambda: self.ask("GET", "/readyz")[0] == 200)

        def say(boot, number, crashes):
            body = {"version": 1, "boot": boot, "number": number, "wait_ms": 0,
                    "services": {"web": {"state": "healthy", "crashes": crashes}}}
            self.assertEqual(client.once("POST", "/v1/agents/sync", body)[0], 200)
            return self.get("/v1/hosts/h9")["services"]["web"]["crashes"]

        self.assertEqual(say("a", 5, 50), 50)
        self.assertEqual(say("a", 4, 40), 50)  # Overtaken on the way.
        self.assertEqual(say("a", 6, 60), 60)
        self.assertEqual(say("b", 1, 10), 10)  # The daemon began anew.
        client.close()

    def test_the_next_orchestrator_takes_over(self):
        first = self.start("o1")
        second = self.start("o2")
        hosts = self.first_release(urls=[first.url, second.url])
        epoch = hosts[0].upstream()["epoch"]
        self.assertEqual(hosts[0].upstream()["url"], first.url)
        self.kill(first)
        until(lambda: all(host.upstream().get("url") == second.url and host.upstream()["connected"] for host in hosts))
        until(lambda: all(host.upstream()["epoch"] > epoch for host in hosts))
        self.command("deploy", "web", "web@1.1", "--env", "prod", "--wait")
        self.assertTrue(self.all_run("1.1"))

    def test_an_orchestrator_of_an_older_epoch_is_refused_also_after_a_restart(self):
        old = self.start("old")
        until(lambda: self.ask("GET", "/readyz")[0] == 200)
        self.orchestrators.remove(old)
        self.database = f"sqlite:{self.home}/db2"
        new = self.start("new")
        host = self.first_release(1)[0]
        host.kill()
        # The old one has other plans for this host.
        self.orchestrators = [old]
        self.database = f"sqlite:{self.home}/db"
        self.put_environment(QUICK, good="web@1.2")
        host = RealAgent(self, "h0", [old.url], {"tier": "web", "zone": "z0"})
        until(lambda: "older" in host.upstream().get("error", ""))
        self.assertFalse(host.upstream()["connected"])
        self.assertEqual(host.runs(), "1.0")
        host.process.terminate()
        host.wait()
        # With both it finds the new one.
        host = RealAgent(self, "h0", [old.url, new.url], {"tier": "web", "zone": "z0"})
        until(lambda: host.upstream().get("connected"))
        self.assertEqual(host.upstream()["url"], new.url)
        self.assertEqual(host.runs(), "1.0")

    def test_a_seeder_gives_no_orders(self):
        self.start()
        host = RealAgent(self, "h0", [self.seeder.url], {"tier": "web"})
        error = until(lambda: host.upstream().get("error"))
        self.assertIn("which is no orchestrator", error)
        self.assertFalse(host.upstream()["connected"])

    def test_both_sides_say_what_the_page_says(self):
        orchestrator = self.start()
        between = Recorder(self, orchestrator, self.authority.issue("agent/h0"))
        self.first_release(1, urls=[between.url])
        self.command("deploy", "web", "web@bad", "--env", "prod", "--wait", status=FAILED)
        until(lambda: any(said["services"].get("web", {}).get("bad") for _, said, _, _ in between.said))
        page = yaml.safe_load(PAGE.read_text())
        schema = Schema(page)
        for path, said, status, answer in list(between.said):
            operation = page["paths"][path]["post"]
            request = operation["requestBody"]["content"]["application/json"]["schema"]
            self.assertEqual(schema.problems(said, request), [], json.dumps(said))
            if status == 200:
                reply = operation["responses"]["200"]["content"]["application/json"]["schema"]
                self.assertEqual(schema.problems(answer, reply), [], json.dumps(answer))
            else:
                self.assertIn(str(status), operation["responses"])
        # Nothing that is said is missing in the page.
        known = page["paths"]["/v1/agents/sync"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
        service = known["services"]["additionalProperties"]["properties"]
        for _, said, _, _ in between.said:
            self.assertLessEqual(set(said), set(known))
            for one in said["services"].values():
                self.assertLessEqual(set(one), set(service))
        # Orders were told, events kept, and a request was held while nothing happened.
        self.assertTrue(any(answer.get("desired") for _, _, _, answer in between.said))
        self.assertTrue(any(answer.get("events_to") for _, _, _, answer in between.said))
        self.assertTrue(any(said["wait_ms"] > 0 for _, said, _, _ in between.said))


if __name__ == "__main__":
    main()
