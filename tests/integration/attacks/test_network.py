#!/usr/bin/env python3
"""Attacks over the network: mirrors, trackers and peers that lie, stall or have no business here."""

import http.client
import http.server
import ssl
import threading
import time
import urllib.parse

import test_ssl_swarm
from attack_case import AttackCase
from orchestrator_fleet import Client, Orchestrator, until
from harness import FAILED, VERIFICATION_FAILED, FileServer, Fleet, Seeder, main, noise, serve_http

ONLINE = ("timestamp.json", "3.snapshot.json", "3.targets.json")


def is_pack(path):
    return path.startswith("packs/") and not path.endswith(".torrent")


class Pouring:
    """A server that begins an answer for what `pours` picks and never ends it: as fast as it can, or
    a byte at a time. Everything else comes from the repository."""

    def __init__(self, test, repo, pours, drip=False):
        self.over = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.lstrip("/")
                if pours(path):
                    self.pour()
                    return
                file = repo / path
                body = file.read_bytes() if file.is_file() else None
                self.send_response(200 if body is not None else 404)
                self.end_headers()
                self.wfile.write(body or b"")

            def pour(self):
                self.send_response(206 if "Range" in self.headers else 200)
                self.end_headers()
                try:
                    while not outer.over.wait(0.3 if drip else 0):
                        self.wfile.write(b" " if drip else b" " * 65_536)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        _, self.url = serve_http(test, Handler)
        test.addCleanup(self.over.set)


class MaliciousMirror(AttackCase):
    def refused_by(self, change, *words, statuses=(VERIFICATION_FAILED,)):
        self.forget_host()
        server = FileServer(self, self.repo, change)
        outcome = self.refused(server.url, *words, status=None)
        self.assertIn(outcome.status, statuses, str(outcome))

    def test_a_mirror_whose_packs_are_noise(self):
        self.refused_by(lambda path, body: noise(len(body), path) if body and is_pack(path) else body, "verify")
        self.honest(seeder=FileServer(self, self.repo).url)

    def test_a_mirror_beside_an_honest_one(self):
        bad = FileServer(self, self.repo, lambda path, body: b"<html>Sign in</html>" if body else body)
        self.install("1.1", [bad.url, FileServer(self, self.repo).url])
        self.assertEqual(self.says(), "version 1.1")

    def test_a_mirror_that_mixes_old_and_new_files(self):
        old = {name: (self.at_1_0 / "metadata" / name.replace("3.", "2.")).read_bytes() for name in ONLINE}
        for name in ONLINE[1:]:
            with self.subTest(name):
                self.refused_by(lambda path, body, name=name: old[name] if path == f"metadata/{name}" else body,
                                name, "mix-and-match attack")
        self.honest(seeder=FileServer(self, self.repo).url)

    def test_files_that_are_too_long(self):
        limits = {"2.root.json": 512_000, "timestamp.json": 16_384, "3.snapshot.json": 0, "3.targets.json": 0}
        for name, limit in limits.items():
            with self.subTest(name):
                def lengthen(path, body, name=name, limit=limit):
                    return (body or b"") + b" " * (limit + 1) if path == f"metadata/{name}" else body

                self.refused_by(lengthen, name, "endless data attack")
        self.honest(seeder=FileServer(self, self.repo).url)

    def test_endless_data(self):
        picks = {
            "root": lambda path: path == "metadata/2.root.json",
            "timestamp": lambda path: path == "metadata/timestamp.json",
            "manifest": lambda path: path.endswith(".manifest.json"),
            "metainfo": lambda path: path.endswith(".torrent"),
        }
        for name, pick in picks.items():
            with self.subTest(name):
                self.forget_host()
                outcome = self.measured("1.1", Pouring(self, self.repo, pick).url)
                self.assertIn("longer than", outcome.err)
        self.honest(seeder=FileServer(self, self.repo).url)

    def test_slow_retrieval(self):
        """Nothing is wrong with the bytes, so the status is that of a network: try again."""
        slow = Pouring(self, self.repo, lambda path: path == "metadata/timestamp.json", drip=True)
        started = time.monotonic()
        self.refused(slow.url, "timestamp.json", "slow retrieval attack", status=FAILED)
        self.assertLess(time.monotonic() - started, 20)
        self.honest(seeder=FileServer(self, self.repo).url)


class Strangers(AttackCase):
    def setUp(self):
        super().setUp()
        self.fleet = Fleet(self)
        self.seeder = Seeder(self, self.repo, *self.fleet.flags("seeder/eu", crl=True))
        self.member = self.fleet.flags("agent/h1", crl=True)

    def ask(self, path, party, method="GET", body=None):
        connection = http.client.HTTPSConnection(urllib.parse.urlparse(self.seeder.url).netloc, timeout=10,
                                                 context=self.fleet.python_context(party))
        try:
            connection.request(method, path, body)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()

    def test_a_peer_without_certificate(self):
        self.refused(self.seeder.url, "--tls-ca", flags=())
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.ask("/metadata/timestamp.json", None)
        self.honest(seeder=self.seeder.url, flags=self.member)

    def test_a_peer_with_a_foreign_certificate(self):
        foreign = Fleet(self, "foreign")
        flags = foreign.flags("agent/h1")
        # The stranger knows the fleet's authority, and so takes the seeder for what it is.
        flags[-1].write_bytes(flags[-1].read_bytes() + (self.fleet.ca / "ca.pem").read_bytes())
        self.refused(self.seeder.url, "refuses our certificate", flags=flags, status=FAILED)
        self.honest(seeder=self.seeder.url, flags=self.member)

    def test_a_seeder_with_a_foreign_certificate(self):
        foreign = Fleet(self, "foreign")
        impostor = Seeder(self, self.repo, *foreign.flags("seeder/eu"))
        self.refused(impostor.url, "does not lead to the authority in --tls-ca", flags=self.member)
        self.honest(seeder=self.seeder.url, flags=self.member)

    def test_an_agents_certificate_on_a_publishers_call(self):
        agent, publisher = self.fleet.issue("agent/h1"), self.fleet.issue("publisher/ci")
        for method in ("GET", "PUT", "POST"):
            status, said = self.ask("/v1/push/commit", agent, method, b"x")
            self.assertEqual(status, 403)
            self.assertIn("agent/h1 may not push a release", said)
        self.assertNotEqual(self.ask("/v1/push/packs/" + "a" * 64, publisher)[0], 403)
        self.honest(seeder=self.seeder.url, flags=self.member)

    def test_an_agents_certificate_on_an_operators_call(self):
        orchestrator = Orchestrator(
            self, self.fleet.flags("orchestrator/main"), "--database", f"sqlite:{self.home}/db",
            "--repo", self.repo, "--state", self.home / "orchestrator",
        )
        operator = Client(self.fleet.python_context(self.fleet.issue("operator/ann?role=admin")), lambda: [orchestrator.address])
        agent = Client(self.fleet.python_context(self.fleet.issue("agent/h1")), lambda: [orchestrator.address])
        self.addCleanup(operator.close)
        self.addCleanup(agent.close)
        until(lambda: operator.once("GET", "/v1/hosts")[0] == 200)
        for method, path in (
            ("GET", "/v1/hosts"),
            ("GET", "/v1/audit"),
            ("POST", "/v1/deployments"),
            ("PUT", "/v1/services/web/environments/prod"),
            ("POST", "/v1/services/web/environments/prod/rollback"),
            ("PUT", "/v1/freezes/all"),
            ("DELETE", "/v1/hosts/h2"),
        ):
            status, said, _ = agent.once(method, path, None if method in ("GET", "DELETE") else {})
            self.assertEqual(status, 403, f"{method} {path}: {said}")
            self.assertIn("agent/h1", str(said))
        self.assertEqual(operator.once("GET", "/v1/freezes")[1]["items"], [])
        self.honest(seeder=self.seeder.url, flags=self.member)

    def test_a_replayed_publish(self):
        publisher = self.fleet.issue("publisher/ci")
        before = {path: path.read_bytes() for path in self.repo.glob("metadata/*")}
        for source in (self.at_1_0, self.repo):
            old = (source / "metadata/timestamp.json").read_bytes()
            status, said = self.ask("/v1/push/commit", publisher, "POST", old)
            self.assertIn(status, (409, 422))
            self.assertRegex(said, "replay|rollback")
        self.assertEqual({path: path.read_bytes() for path in self.repo.glob("metadata/*")}, before)
        self.slipway("publish", "--repo", self.seeder.url, "--keys", self.keys, "--trust", self.trust, "--cache",
                     self.home / "cache", *self.fleet.flags_of(publisher), "web@1.2", self.program("1.2"))
        self.honest("1.2", seeder=self.seeder.url, flags=self.member)

    def test_a_tracker_that_hands_out_strangers(self):
        foreign = Fleet(self, "foreign")
        strangers = [test_ssl_swarm.Stranger(self), test_ssl_swarm.Stranger(self, foreign.issue("seeder/eu"))]
        tracker = test_ssl_swarm.MaliciousTracker(self, self.repo, [one.port for one in strangers])
        self.refused(tracker.url, "pack ", flags=self.member, status=FAILED)
        for stranger in strangers:
            self.assertTrue(stranger.called, "the tracker's reply was not followed")
            self.assertEqual(stranger.heard, b"")
        self.honest(seeder=self.seeder.url, flags=self.member)


if __name__ == "__main__":
    main()
