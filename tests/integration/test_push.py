#!/usr/bin/env python3
"""Publishing to a seeder over mutual TLS: what arrives is whole, and nothing else gets in."""

import http.client
import json
import os
import shutil
import ssl
import time
import unittest
import urllib.parse

from harness import BIN, FAILED, USAGE, VERIFICATION_FAILED, Case, Fleet, Process, Seeder, main, noise, write


class PushCase(Case):
    def setUp(self):
        super().setUp()
        self.init_repo()
        self.fleet = Fleet(self)
        self.seeder = Seeder(self, self.repo, *self.fleet.flags("seeder/eu", crl=True))
        self.publisher = self.fleet.issue("publisher/ci")
        self.keys = self.home / "repo.keys"

    def push_args(self, version, tree, *flags, name="web", cache="cache", party=None):
        return ["publish", "--repo", self.seeder.url, "--keys", self.keys, "--trust", self.trust, "--cache",
                self.home / cache, *self.fleet.flags_of(party or self.publisher), f"{name}@{version}", tree, "--json",
                *flags]

    def push(self, version, tree, *flags, status=0, **options):
        return self.slipway(*self.push_args(version, tree, *flags, **options), status=status)

    def install_from_seeder(self, version, root=None):
        flags = self.fleet.flags(f"agent/h{self.next_number()}")
        self.install(version, self.seeder.url, root, *flags)

    def assert_sends_new_packs_only(self, pushed):
        new_packs = sum(pack["bytes"] for pack in pushed["new_packs"])
        self.assertLess(pushed["pushed"]["sent_bytes"], new_packs + 50_000)  # And metadata.

    def request(self, method, path, body=None, headers=None, party=None):
        where = urllib.parse.urlparse(self.seeder.url)
        context = self.fleet.python_context(party or self.publisher)
        connection = http.client.HTTPSConnection(where.hostname, where.port, context=context, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()

    def put(self, path, content, party=None):
        put = self.request("PUT", f"/v1/push/{path}", content,
                           {"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"}, party)
        return put if put[0] != 200 else self.request("POST", f"/v1/push/{path}", party=party)

    def repository_files(self):
        return {str(path.relative_to(self.repo)): path.read_bytes() for path in self.repo.rglob("*")
                if path.is_file() and path.relative_to(self.repo).parts[0] in ("metadata", "targets", "packs")}


class Pushing(PushCase):
    def test_a_release_is_pushed_and_installed_and_the_next_one_as_patches(self):
        first, second = self.tree("1.0"), self.tree("1.1")
        pushed = self.push("1.0", first).last_json()
        self.assertGreater(pushed["pushed"]["sent_bytes"], 3_000_000)
        self.install_from_seeder("1.0")
        self.assert_runs(first)
        pushed = self.push("1.1", second).last_json()
        self.assert_sends_new_packs_only(pushed)
        self.assertIn("patch", [pack["role"] for pack in pushed["new_packs"]])
        self.install_from_seeder("1.1")
        self.assert_runs(second)
        self.slipway("verify", "--repo", self.repo)
        self.assertFalse(list((self.repo / "incoming").rglob("*.part")))

    def test_from_a_machine_without_a_cache_the_bases_are_fetched(self):
        first, second = self.tree("1.0"), self.tree("1.1")
        self.push("1.0", first)
        pushed = self.push("1.1", second, cache="another").last_json()
        self.assert_sends_new_packs_only(pushed)
        self.install_from_seeder("1.1")
        self.assert_runs(second)

    def test_the_same_again_changes_nothing_and_another_tree_is_refused(self):
        tree = self.tree("1.0")
        self.push("1.0", tree)
        before = self.repository_files()
        self.assertTrue(self.push("1.0", tree).last_json()["already_published"])
        self.assertIn("never changes", self.push("1.0", self.tree("2.0"), status=FAILED).err)
        self.assertIn("never changes", self.push("1.0", self.tree("2.0"), cache="b", status=FAILED).err)
        self.assertEqual(self.repository_files(), before)

    def test_two_publishers_in_turn(self):
        other = self.fleet.issue("publisher/nightly")
        self.push("1.0", self.tree("1.0"))
        self.push("5.0", self.tree("5.0"), name="api", cache="other", party=other)
        third = self.tree("1.1")
        self.push("1.1", third)
        self.install_from_seeder("1.1")
        self.assert_runs(third)

    def test_a_cache_that_is_behind_is_brought_up_to_date_first(self):
        self.push("1.0", self.tree("1.0"))
        slow = self.home / "slow"
        shutil.copytree(self.home / "cache", slow)
        self.push("1.1", self.tree("1.1"))
        tree = self.tree("1.2")
        self.push("1.2", tree, cache="slow")
        self.install_from_seeder("1.2")
        self.assert_runs(tree)

    def test_a_push_killed_in_the_middle_goes_on_where_it_stopped(self):
        tree = self.tree("1.0", {"share/big": noise(60_000_000, "big")})
        process = Process(self, [BIN / "slipway", *self.push_args("1.0", tree)])
        deadline = time.monotonic() + 60
        while self.staged_bytes() < 16_000_000:
            self.assertLess(time.monotonic(), deadline, process.errors())
            self.assertIsNone(process.process.poll(), process.errors())
            time.sleep(0.01)
        process.process.kill()
        process.process.wait()
        there = self.staged_bytes()
        self.assertLess(there, 60_000_000)
        before = self.repository_files()
        self.assertNotIn("2.targets.json", " ".join(before))
        pushed = self.push("1.0", tree).last_json()["pushed"]
        self.assertGreaterEqual(pushed["resumed_bytes"], there)
        self.assertLess(pushed["sent_bytes"], 64_000_000 - there)
        self.install_from_seeder("1.0")
        self.assert_runs(tree)

    def staged_bytes(self):
        return sum(path.stat().st_size for path in self.repo.glob("incoming/*/*.part"))


class Refused(PushCase):
    def test_an_agents_certificate_does_not_push(self):
        for identity in ("agent/h1", "seeder/us", "operator/ann?role=admin", "orchestrator/main"):
            party = self.fleet.issue(identity)
            refused = self.push("1.0", self.tree("1.0"), party=party, status=FAILED)
            self.assertIn("403", refused.err)
            self.assertIn("may not push a release", refused.err)
            for method in ("GET", "PUT", "POST"):
                status, text = self.request(method, "/v1/push/commit", b"x", party=party)
                self.assertEqual(status, 403)
                self.assertIn(identity.split("?")[0], text)
        self.assertFalse((self.repo / "incoming").exists())

    def test_a_push_without_tls_is_refused(self):
        open_seeder = Seeder(self, self.repo)
        connection = http.client.HTTPConnection(urllib.parse.urlparse(open_seeder.url).netloc, timeout=10)
        self.addCleanup(connection.close)
        connection.request("POST", "/v1/push/commit", b"x")
        self.assertEqual(connection.getresponse().status, 403)
        self.assertIn("https://", self.slipway("publish", "--repo", open_seeder.url, "--keys", self.keys, "web@1.0",
                                               self.tree("1.0"), status=USAGE).err)

    def test_a_pack_whose_bytes_are_not_those_of_its_name_is_refused(self):
        status, text = self.put("packs/" + "a" * 64, b"not that pack")
        self.assertEqual(status, 422)
        self.assertIn("another pieces root", text)
        status, text = self.put("targets/web/1.0/" + "b" * 64 + ".packmap", b"not that map")
        self.assertEqual(status, 422)
        self.assertFalse(list(self.repo.glob("incoming/*/*")))

    def test_metadata_signed_with_a_foreign_key_is_refused(self):
        self.push("1.0", self.tree("1.0"))
        before = self.repository_files()
        foreign = self.home / "foreign"
        self.slipway("repo", "init", "--repo", foreign)
        for number in range(3):
            self.slipway("publish", "--repo", foreign, f"web@{number}", self.tree("1.0"))
        for file in foreign.glob("metadata/*.json"):
            if file.name[0].isdigit() and "root" not in file.name:
                self.assertEqual(self.put(f"metadata/{file.name}", file.read_bytes())[0], 200)
        status, text = self.request("POST", "/v1/push/commit", (foreign / "metadata/timestamp.json").read_bytes())
        self.assertEqual(status, 422, text)
        self.assertIn("timestamp", text)
        self.assertEqual(self.repository_files(), before)

    def test_a_replayed_push_is_refused(self):
        self.push("1.0", self.tree("1.0"))
        old = {path.name: path.read_bytes() for path in self.repo.glob("metadata/*.json")}
        same, text = self.request("POST", "/v1/push/commit", old["timestamp.json"])
        self.assertEqual(same, 409)
        self.assertIn("replay", text)
        self.push("1.1", self.tree("1.1"))
        before = self.repository_files()
        for name, content in old.items():
            if name[0].isdigit():
                self.put(f"metadata/{name}", content)
        status, text = self.request("POST", "/v1/push/commit", old["timestamp.json"])
        self.assertIn(status, (409, 422))
        self.assertRegex(text, "rollback|replay")
        self.assertEqual(self.repository_files(), before)

    def test_metadata_without_the_files_that_it_lists_is_refused(self):
        self.push("1.0", self.tree("1.0"))
        copy = self.home / "copy"
        shutil.copytree(self.repo, copy, ignore=shutil.ignore_patterns("incoming"))
        self.slipway("publish", "--repo", copy, "--keys", self.keys, "web@1.1", self.tree("1.1"))
        before = self.repository_files()
        have = {path.name for path in self.repo.glob("metadata/*")}
        for file in copy.glob("metadata/*.json"):
            if file.name not in have:
                self.assertEqual(self.put(f"metadata/{file.name}", file.read_bytes())[0], 200)
        timestamp = (copy / "metadata/timestamp.json").read_bytes()
        status, text = self.request("POST", "/v1/push/commit", timestamp)
        self.assertEqual(status, 409)
        self.assertIn("was not sent", text)
        for path in copy.glob("targets/**/*.packmap"):
            self.put(str(path.relative_to(copy)), path.read_bytes())
        for path in copy.glob("targets/**/*.manifest.json"):
            self.put(str(path.relative_to(copy)), path.read_bytes())
        status, text = self.request("POST", "/v1/push/commit", timestamp)
        self.assertEqual(status, 409)
        self.assertRegex(text, "packs/[0-9a-f]{64}, which the pack map lists, was not sent")
        self.assertEqual(self.repository_files(), before)

    def test_a_file_too_large_for_its_kind_or_for_the_disk_is_refused_before_a_byte(self):
        huge = {"Content-Range": f"bytes 0-9/{1 << 39}"}
        status, text = self.request("PUT", "/v1/push/packs/" + "a" * 64, b"0123456789", huge)
        self.assertEqual(status, 507, text)
        self.assertIn("bytes free", text)
        large = {"Content-Range": "bytes 0-9/6000000"}
        self.assertEqual(self.request("PUT", "/v1/push/metadata/9.targets.json", b"0123456789", large)[0], 409)
        self.assertEqual(self.request("PUT", "/v1/push/packs/" + "a" * 64, b"0123456789")[0], 400)
        for path in ("metadata/timestamp.json", "../x", "packs/x", "incoming/x"):
            self.assertEqual(self.request("PUT", f"/v1/push/{path}", b"x")[0], 404)

    def test_uploads_that_nobody_goes_on_with_expire(self):
        status, _ = self.request("PUT", "/v1/push/packs/" + "a" * 64, b"0123456789",
                                 {"Content-Range": "bytes 0-9/100"})
        self.assertEqual(status, 200)
        part = next(self.repo.glob("incoming/ci/*.part"))
        self.assertEqual(json.loads(self.request("GET", "/v1/push/packs/" + "a" * 64)[1])["bytes"], 10)
        day_ago = time.time() - 25 * 3600
        os.utime(part, (day_ago, day_ago))
        self.seeder.signal(15)
        self.seeder.wait(10)
        self.seeder = Seeder(self, self.repo, *self.fleet.flags("seeder/eu", crl=True))
        deadline = time.monotonic() + 10
        while part.exists():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)


if __name__ == "__main__":
    main()
