#!/usr/bin/env python3
"""The seeder as a process: who may read, what is served, and bad bytes in the swarm."""

import http.client
import json
import shutil
import signal
import unittest
import urllib.parse
import urllib.request

from harness import BIN, DONE, NOT_FOUND, USAGE, Case, Seeder, main, noise, write


class Serving(Case):
    def setUp(self):
        super().setUp()
        self.init_repo()
        self.source = self.tree("1.0")
        self.publish("1.0", self.source)

    def seeder_fails(self, *args, status):
        return self.run_program("slipway-seeder", "run", *args, status=status).err

    def ask(self, seeder, path, method="GET", headers=None):
        connection = http.client.HTTPConnection(urllib.parse.urlparse(seeder.url).netloc, timeout=10)
        connection.putrequest(method, path)  # As it stands: "..", not what a client library makes of it.
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        return reply.status, body, reply.headers

    def test_without_certificates_it_stays_on_loopback(self):
        error = self.seeder_fails("--repo", self.repo, "--listen", "0.0.0.0:0", status=USAGE)
        self.assertIn("--open", error)
        self.seeder_fails("--repo", self.repo, "--listen", "nonsense", status=USAGE)
        self.seeder_fails("--repo", self.home / "none", "--listen", "127.0.0.1:0", status=NOT_FOUND)

    def test_it_serves_the_layout_and_nothing_else(self):
        seeder = Seeder(self, self.repo, "--region", "eu")
        description = json.loads(self.ask(seeder, "/v1/seeder")[1])
        self.assertEqual((description["version"], description["region"]), (1, "eu"))
        pack = next(self.repo.glob("packs/*.torrent")).name.removesuffix(".torrent")
        content = (self.repo / "packs" / pack).read_bytes()
        self.assertEqual(self.ask(seeder, f"/packs/{pack}")[:2], (200, content))
        ranged = self.ask(seeder, f"/packs/{pack}", headers={"Range": "bytes=10-19"})
        self.assertEqual(ranged[:2], (206, content[10:20]))
        self.assertEqual(ranged[2]["Content-Range"], f"bytes 10-19/{len(content)}")
        self.assertEqual(self.ask(seeder, f"/packs/{pack}", headers={"Range": f"bytes={len(content)}-"})[0], 416)
        self.assertEqual(self.ask(seeder, f"/packs/{pack}", "HEAD")[:2], (200, b""))
        self.assertEqual(self.ask(seeder, f"/packs/{pack}", "POST")[0], 405)
        (self.repo / "packs/link").symlink_to(self.home / "repo.keys")
        write(self.repo / "packs/.secret.0123456789abcdef.tmp", "x")
        for path in ("/", "/metadata/", "/metadata/../../repo.keys/root.pem", "/packs/link",
                     "/packs/link/root.pem", "/packs/.secret.0123456789abcdef.tmp", "/.lock",
                     "/packs/%2e%2e/metadata/timestamp.json"):
            self.assertEqual(self.ask(seeder, path)[0], 404, path)

    def test_many_connections_and_a_clean_end(self):
        seeder = Seeder(self, self.repo)
        for _ in range(200):
            with urllib.request.urlopen(f"{seeder.url}/metadata/timestamp.json", timeout=10) as reply:
                self.assertEqual(reply.status, 200)
        seeder.signal(signal.SIGTERM)
        self.assertEqual(seeder.wait(10), DONE)

    def test_what_is_published_while_it_runs_is_shared(self):
        seeder = Seeder(self, self.repo)
        self.install("1.0", seeder.url)
        newer = self.tree("1.1")
        self.publish("1.1", newer)
        self.install("1.1", seeder.url)
        self.assert_runs(newer)

    def test_a_corrupt_seeder_beside_a_good_one(self):
        """The bad one is banned, the bytes are right, and nothing crashes."""
        bad_repo = self.home / "bad-repo"
        shutil.copytree(self.repo, bad_repo)
        for pack in bad_repo.glob("packs/*.torrent"):
            path = pack.with_suffix("")
            content = bytearray(path.read_bytes())
            for at in range(0, len(content), 50_000):
                content[at] ^= 0xFF
            path.write_bytes(content)
        good, bad = Seeder(self, self.repo), Seeder(self, bad_repo)
        for round_number in range(3):
            host = self.host(f"host-{round_number}")
            self.install("1.0", [bad.url, good.url], host)
            self.assert_runs(self.source, host)


if __name__ == "__main__":
    main()
