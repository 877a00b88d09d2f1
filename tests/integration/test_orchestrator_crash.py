"""kill -9 of the real orchestrator at records of its log, on both databases, and two orchestrators on one PostgreSQL."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness import LONG, main
from orchestrator_fleet import QUICK, Client, FleetCase, until


class Postgres:
    """A server of Debian's package on a UNIX socket, in a directory of its own, as an unprivileged user."""

    def __init__(self, test):
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.home = Path(subprocess.check_output(["mktemp", "-d", "/tmp/slipway-pg-XXXXXX"], text=True).strip())
        test.addClassCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.user = {}
        if os.getuid() == 0:
            who = pwd.getpwnam("postgres")
            os.chown(self.home, who.pw_uid, who.pw_gid)
            self.user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        self.programs = programs
        self.run("initdb", "-D", self.home / "data", "-U", "slipway", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        self.log = open(self.home / "log", "wb")
        self.server = subprocess.Popen(
            [programs / "postgres", "-D", self.home / "data", "-k", self.home, "-c", "listen_addresses=", "-c", "fsync=off"],
            stdout=self.log, stderr=self.log, cwd="/", **self.user,
        )
        test.addClassCleanup(self.end)
        until(lambda: self.run("pg_isready", "-q", "-d", "postgres", check=False) == 0)
        self.databases = 0

    def run(self, program, *args, check=True):
        command = [str(self.programs / program), *map(str, args)]
        environment = {**os.environ, "PGHOST": str(self.home), "PGUSER": "slipway"}
        ended = subprocess.run(command, capture_output=True, env=environment, cwd="/", timeout=60, **self.user)
        if check and ended.returncode != 0:
            raise AssertionError(f"{program}: {ended.stderr.decode()}")
        return ended.returncode

    def new_database(self):
        self.databases += 1
        self.run("psql", "-q", "-d", "postgres", "-c", f"CREATE DATABASE test{self.databases}")
        return f"postgresql:///test{self.databases}?user=slipway&host={self.home}"

    def end(self):
        self.server.send_signal(signal.SIGINT)
        self.server.wait(20)
        self.log.close()


class Crashes(FleetCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.postgres = Postgres(cls)

    def position(self):
        with contextlib.suppress(Exception):
            client = self.client("operator/vic?role=viewer")
            try:
                status, answer, _ = client.once("GET", "/v1", timeout=2)
                return answer["position"] if status == 200 and answer["drives"] else None
            finally:
                client.close()
        return None

    def check_log(self):
        """The log has no hole; every deployment began once and ended at most once."""
        records, after = [], 0
        while True:
            page = self.get(f"/v1/audit?limit=1000&after={after}")
            records += page["items"]
            if not page["next"]:
                break
            after = page["next"]
        self.assertEqual([r["position"] for r in records], list(range(1, len(records) + 1)))
        epochs = [r["body"]["epoch"] for r in records if r["kind"] == "epoch_began"]
        self.assertEqual(epochs, sorted(set(epochs)))
        for kind in ("deployment_created", "deployment_ended"):
            names = [r["deployment"] for r in records if r["kind"] == kind]
            self.assertEqual(len(names), len(set(names)), kind)
        return records

    def kill_at_records(self, seed, bad):
        """Kills the orchestrator each time that its log has grown by some records, until the deployment is over."""
        random_numbers = random.Random(seed)
        self.start()
        self.host_fleet(3)
        self.put_environment()
        self.wait_for(self.deploy("1.0"), "succeeded")
        until(lambda: self.runs("1.0"))
        slow = QUICK.replace("300ms", "3s")  # So that there is time to be killed in.
        if bad:
            self.bad.add(self.digests["1.1"])
        name = self.deploy("1.1", strategy_text=slow)
        kills, over = 0, None
        while not over:
            self.kill(self.orchestrators[0])
            self.start(f"o{kills + 2}")
            kills += 1
            at = until(self.position) + random_numbers.randint(1, 1 if LONG else 3)
            until(lambda: self.is_over(name) or (self.position() or 0) >= at, 60, 0.005)
            over = self.is_over(name)
        expected = "rolled_back" if bad else "succeeded"
        self.assertEqual(self.wait_for(name, "succeeded", "rolled_back")["phase"], expected)
        until(lambda: self.runs("1.0" if bad else "1.1"))
        self.assertGreater(kills, 0 if bad else 1)
        self.check_log()
        for agent in self.agents:
            self.assertEqual(agent.stale, [])
            # Each order takes effect once: never the same release twice in a row.
            digests = [digest for _, _, digest in agent.orders]
            self.assertTrue(all(a != b for a, b in zip(digests, digests[1:])), digests)

    def is_over(self, name):
        with contextlib.suppress(AssertionError):
            return self.deployment(name)["phase"] in ("succeeded", "rolled_back", "failed")
        return False

    def test_killed_at_records_of_a_good_deployment_on_sqlite(self):
        self.kill_at_records(1, bad=False)

    def test_killed_at_records_of_a_rollback_on_postgresql(self):
        self.database = self.postgres.new_database()
        self.kill_at_records(2, bad=True)

    def test_the_other_one_takes_over_within_three_seconds_and_the_older_is_refused(self):
        self.database = self.postgres.new_database()
        first = self.start("o1")
        self.host_fleet(3)
        self.put_environment()
        self.wait_for(self.deploy("1.0"), "succeeded")
        second = self.start("o2")
        until(lambda: self.answer_of(second, "/readyz") == 503)
        name = self.deploy("1.1", strategy_text=QUICK.replace("300ms", "2s"))
        epoch = self.answer_of(first, "/v1", "epoch")
        until(lambda: self.deployment(name)["phase"] != "staging")
        first.signal(signal.SIGSTOP)  # As a process that hangs: it believes that it drives when it goes on.
        stopped = time.monotonic()
        until(lambda: self.answer_of(second, "/readyz") == 200, 10)
        took = time.monotonic() - stopped
        self.assertLess(took, 3.2)
        newer = self.answer_of(second, "/v1", "epoch")
        self.assertGreater(newer, epoch)
        until(lambda: all(agent.epoch == newer for agent in self.agents), 20)
        first.signal(signal.SIGCONT)
        until(lambda: self.answer_of(first, "/readyz") == 503, 10)
        self.orchestrators.remove(first)
        self.wait_for(name, "succeeded")
        until(lambda: self.runs("1.1"))
        self.orchestrators.append(first)
        self.check_log()
        # Nothing of the older term was obeyed after the newer one was heard of.
        for agent in self.agents:
            epochs = [epoch for epoch, _, _ in agent.orders]
            self.assertEqual(epochs, sorted(epochs))
        # A stop gives the lease back: the other one has it at once.
        second.signal(signal.SIGTERM)
        asked = time.monotonic()
        until(lambda: self.answer_of(first, "/readyz") == 200, 10)
        self.assertLess(time.monotonic() - asked, 1.5)
        self.assertEqual(second.wait(), 0)
        self.orchestrators.remove(second)
        self.assertEqual(self.get("/v1/services")["items"][0]["good"]["artifact"], "web@1.1")

    def answer_of(self, orchestrator, path, field=None):
        """The status of one orchestrator's answer, or a field of it."""
        client = Client(self.authority.python_context(self.party("operator/vic?role=viewer")), lambda: [orchestrator.address])
        try:
            status, answer, _ = client.once("GET", path, timeout=2)
            return answer[field] if field else status
        except OSError:
            return None
        finally:
            client.close()


if __name__ == "__main__":
    main()
