"""Deployments by the real orchestrator and the real command: canary, rollback, people, plans, freezes, watching."""

import contextlib
import http.client
import json
import threading

from harness import FAILED, NOT_FOUND, USAGE, main, write
from orchestrator_fleet import QUICK, FleetCase, until


class Deploying(FleetCase):
    def setUp(self):
        super().setUp()
        self.start()

    def ready_fleet(self, count=4, **options):
        self.host_fleet(count)
        self.put_environment(**options)
        self.wait_for(self.deploy("1.0"), "succeeded")
        until(lambda: self.runs("1.0"))
        return self.agents

    def test_a_release_goes_over_the_fleet_batch_by_batch(self):
        self.ready_fleet()
        self.agents[0].orders.clear()
        out = self.command("deploy", "web", "web@1.1", "--env", "prod", "--reason", "new look", "--wait").out
        self.assertIn("succeeded", out)
        until(lambda: self.runs("1.1"))
        status = self.command("status", "web").out
        self.assertIn("web@1.0 -> web@1.1  succeeded", status)
        self.assertIn("new look", status)
        services = self.command("status", "--json").last_json()["services"]
        self.assertEqual(services[0]["good"]["artifact"], "web@1.1")
        self.assertEqual(services[0]["hosts"], 4)
        history = self.command("history", "web").out.splitlines()
        self.assertEqual(len(history), 2)
        self.assertIn("web@1.0 -> web@1.1", history[0])
        one = self.command("history", "web", "--host", "h0", "--json").out.splitlines()
        self.assertEqual([json.loads(line)["artifact"] for line in one], ["web@1.1", "web@1.0"])
        self.assertEqual(self.command("history", "--host", "nobody").out, "")
        # Staged everywhere before the first is activated, and never more moving at once than allowed.
        name = json.loads(one[0])["id"]
        kinds = [record["kind"] for record in self.get(f"/v1/audit?limit=1000&deployment={name}")["items"]]
        self.assertLess(kinds.index("staging_ended"), kinds.index("hosts_ordered"))
        self.assertEqual(kinds.count("batch_passed"), 3)
        evidence = self.get(f"/v1/deployments/{name}/evidence?limit=1000")["items"]
        self.assertTrue(any(record["body"].get("evidence") for record in evidence))
        hosts = self.get(f"/v1/deployments/{name}/hosts")["items"]
        self.assertEqual({host["step"] for host in hosts}, {"ready"})

    def test_a_release_that_fails_its_probe_never_leaves_the_canary(self):
        self.ready_fleet()
        self.bad.add(self.digests["1.1"])
        failed = self.command("deploy", "web", "web@1.1", "--env", "prod", "--wait", status=FAILED)
        self.assertIn("rolled_back", failed.err)
        touched = [agent.host for agent in self.agents if any(d == self.digests["1.1"] for _, _, d in agent.orders)]
        self.assertEqual(len(touched), 1)
        until(lambda: self.runs("1.0"))
        shown = self.command("status", "web").out
        self.assertIn("went back because", shown)
        self.assertIn("status 500", shown)
        refused = self.command("deploy", "web", "web@1.1", "--env", "prod", status=FAILED)
        self.assertIn("quarantine", refused.err)
        self.bad.clear()
        self.command("deploy", "web", "web@1.1", "--env", "prod", "--retry", "--wait")
        until(lambda: self.runs("1.1"))

    def test_pause_resume_promote_abort(self):
        self.ready_fleet()
        slow = write(self.home / "slow.toml", QUICK.replace("300ms", "1h"))
        name = self.deploy("1.1", strategy_text=slow.read_text())
        waits = until(lambda: (self.deployment(name)["waits_for"] or {}).get("kind") == "bake" and self.deployment(name))
        self.assertGreater(waits["waits_for"]["until_unix_ms"], 0)
        self.assertIn("bake", self.command("status", name).out)
        self.command("pause", name, "--reason", "lunch")
        paused = self.deployment(name)
        self.assertTrue(paused["paused"])
        self.assertEqual(paused["waits_for"]["kind"], "resume")
        self.assertTrue(paused["waits_for"]["needs_a_person"])
        self.command("resume", name)
        self.assertFalse(self.deployment(name)["paused"])
        self.command("promote", name)
        until(lambda: self.deployment(name)["batch"] == 2)
        self.command("abort", name, "--reason", "not today", "--wait")
        ended = self.wait_for(name, "rolled_back")
        self.assertIn("not today", ended["cause"])
        until(lambda: self.runs("1.0"))
        self.assertEqual(self.get("/v1/services")["items"][0]["quarantined"], [])
        self.command("pause", name, status=FAILED)

    def test_rollback_by_hand_goes_back_once(self):
        self.ready_fleet()
        self.wait_for(self.deploy("1.1"), "succeeded")
        self.command("rollback", "web", "--reason", "customers call", "--wait")
        until(lambda: self.runs("1.0"))
        shown = self.get("/v1/services")["items"][0]
        self.assertEqual(shown["good"]["artifact"], "web@1.0")
        self.command("rollback", "nothing", status=NOT_FOUND)

    def test_an_approval_is_waited_for_and_says_who_gave_it(self):
        self.ready_fleet()
        gate = '\n[[gate]]\nname = "sign-off"\nkind = "approval"\nsteps = [1]\n'
        name = self.deploy("1.1", strategy_text=QUICK + gate)
        waits = until(lambda: (self.deployment(name)["waits_for"] or {}).get("kind") == "approval" and self.deployment(name))
        self.assertIn("slipway approve", waits["waits_for"]["unblock"])
        self.assertTrue(waits["waits_for"]["needs_a_person"])
        refused = self.command("approve", name, identity="operator/dan?role=deployer", status=FAILED)
        self.assertIn("role=approver", refused.err)
        self.command("approve", name, "--reason", "looks fine", identity="operator/amy?role=approver")
        self.wait_for(name, "succeeded")
        answered = [r for r in self.get(f"/v1/deployments/{name}/evidence?limit=1000")["items"] if r["kind"] == "gate_answered"]
        self.assertIn("operator/amy", json.dumps(answered))

    def test_a_freeze_stops_forward_moves_and_no_way_back(self):
        self.ready_fleet()
        self.wait_for(self.deploy("1.1"), "succeeded")
        self.command("freeze", "service:web/prod", "--reason", "sale")
        self.assertEqual(self.get("/v1/freezes")["items"][0]["scope"], "service:web/prod")
        refused = self.command("deploy", "web", "web@1.2", "--env", "prod", status=FAILED)
        self.assertIn("sale", refused.err + refused.out)
        self.command("rollback", "web", "--wait")
        until(lambda: self.runs("1.0"))
        self.command("unfreeze", "service:web/prod")
        self.command("unfreeze", "service:web/prod", status=NOT_FOUND)
        self.command("freeze", "everything", status=USAGE)
        self.command("deploy", "web", "web@1.2", "--env", "prod", "--wait")

    def test_a_plan_is_what_is_done_and_is_refused_when_the_world_moved(self):
        self.ready_fleet()
        plan = self.command("deploy", "web", "web@1.1", "--env", "prod", "--plan", "--json", status=2).last_json()
        self.assertGreater(plan["bytes"]["all_hosts"], 0)
        text = self.command("deploy", "web", "web@1.1", "--env", "prod", "--plan", status=2).out
        self.assertIn("to move:", text)
        self.assertIn(plan["id"], text)
        order = [host for batch in plan["batches"] for host in batch["hosts"]]
        self.assertEqual(sorted(order), [agent.host for agent in self.agents])
        self.assertEqual(self.deployments(), 1)
        self.command("deploy", "web", "web@1.1", "--env", "prod", "--check-plan", plan["id"], "--wait")
        name = self.command("history", "web", "--json").out.splitlines()[0]
        moved = [r for r in self.get(f"/v1/audit?limit=1000&deployment={json.loads(name)['id']}")["items"]
                 if r["kind"] == "hosts_ordered"]
        self.assertEqual([host for record in moved for host in record["body"]["hosts"]], order)
        self.command("deploy", "web", "web@1.1", "--env", "prod", "--plan", status=0)
        stale = self.command("deploy", "web", "web@1.2", "--env", "prod", "--check-plan", plan["id"], status=FAILED)
        self.assertIn("plan", stale.err)
        self.assertEqual(self.deployments(), 2)

    def deployments(self):
        return len(self.get("/v1/deployments?limit=1000")["items"])

    def test_wrong_orders_are_refused_with_the_reason(self):
        self.ready_fleet()
        self.command("deploy", "web", "web@9.9", "--env", "prod", status=NOT_FOUND)
        self.command("deploy", "web", "nothing", "--env", "prod", status=USAGE)
        self.command("deploy", "web", "web@1.1", "--env", "nowhere", status=NOT_FOUND)
        self.command("deploy", "web", "web@1.1", "--env", "prod", "--strategy", "sideways", status=USAGE)
        self.command("status", "nothing", status=NOT_FOUND)
        wrong = write(self.home / "wrong.toml", "version = 1\nkind = 'canary'\nstep = 1\n")
        self.assertIn("step", self.command("deploy", "web", "web@1.1", "--env", "prod", "--strategy", wrong, status=USAGE).err)
        viewer = self.command("deploy", "web", "web@1.1", "--env", "prod", identity="operator/vic?role=viewer", status=FAILED)
        self.assertIn("role=deployer", viewer.err)
        slow = write(self.home / "slow.toml", QUICK.replace("300ms", "1h"))
        name = self.deploy("1.1", strategy_text=slow.read_text())
        busy = self.command("deploy", "web", "web@1.2", "--env", "prod", status=FAILED)
        self.assertIn(name, busy.err)

    def test_a_host_that_is_lost_is_seen_and_converges_when_it_is_back(self):
        agents = self.ready_fleet(strategy=QUICK + 'offline_budget = "30%"\n')
        agents[3].silent.set()
        until(lambda: self.get("/v1/hosts/h3")["state"] == "lost", 15)
        self.assertEqual([h["host"] for h in self.get("/v1/hosts?state=lost")["items"]], ["h3"])
        self.assertIn("1 lost", self.command("status").out)
        self.wait_for(self.deploy("1.1"), "succeeded")
        self.assertEqual(agents[3].running["digest"], self.digests["1.0"])
        agents[3].silent.clear()
        until(lambda: self.runs("1.1"))
        self.assertEqual(self.get("/v1/hosts/h3")["state"], "online")
        self.command("hosts", "--state", "lost")
        self.assertIn("web@1.1 (healthy)", self.command("hosts", "--labels", "zone=z1").out)

    def test_events_are_seen_as_they_happen_and_from_a_position_on(self):
        self.host_fleet(2)
        self.put_environment()
        seen, lines = [], self.stream("/v1/events?after=0")

        def read():
            event = {}
            for line in self.until_closed(lines):
                line = line.decode().rstrip("\n")
                if not line and event:
                    seen.append(event)
                    event = {}
                elif not line.startswith(":") and line:
                    field, _, value = line.partition(": ")
                    event[field] = value

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        self.wait_for(self.deploy("1.0"), "succeeded")
        until(lambda: any(event["event"] == "deployment_ended" for event in seen), 10)
        positions = [int(event["id"]) for event in seen]
        self.assertEqual(positions, list(range(1, len(seen) + 1)))
        records = self.get("/v1/audit?limit=1000")["items"]
        self.assertEqual([e["event"] for e in seen], [r["kind"] for r in records[: len(seen)]])
        self.assertEqual(json.loads(seen[-1]["data"]), records[len(seen) - 1]["body"])

    @staticmethod
    def until_closed(lines):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            yield from lines

    def stream(self, path):
        client = self.client("operator/vic?role=viewer")
        host, port = self.addresses()[0].rsplit(":", 1)
        connection = http.client.HTTPSConnection(host, int(port), context=client.context, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream")
        self.addCleanup(connection.close)
        return iter(answer.readline, b"")


if __name__ == "__main__":
    main()
