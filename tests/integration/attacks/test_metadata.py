#!/usr/bin/env python3
"""Attacks on TUF metadata, by a mirror that has none, some or the wrong keys of the repository."""

import shutil

from attack_case import AttackCase
from forge import Key, sha256, utc
from harness import NOT_FOUND, main

EVIL = b'{"not":"a manifest"}'
ROLES = ("targets", "snapshot", "timestamp")


def list_evil(body):
    """What every forged targets file is after: other bytes under the name of a release."""
    body["targets"]["web/1.1/manifest.json"] = {"length": len(EVIL), "hashes": {"sha256": sha256(EVIL).hex()}}


class WithoutTheKeys(AttackCase):
    """The attacker has the online keys, as every seeder has, but not those of targets."""

    def test_an_unsigned_target(self):
        mirror = self.mirror()
        mirror.change("targets", list_evil, signatures=[])
        self.refused(mirror, "targets.json", "0 of 1 signatures that role targets needs", "arbitrary software attack")
        self.honest(seeder=self.ahead())

    def test_a_target_signed_with_a_key_that_nobody_trusts(self):
        stranger = Key.new(self.home / "stranger.pem")
        mirror = self.mirror()
        mirror.change("targets", list_evil, signers=[stranger])
        self.refused(mirror, "targets.json", "0 of 1 signatures", "arbitrary software attack")
        self.honest(seeder=self.ahead())

    def test_a_target_signed_by_a_stranger_under_the_name_of_the_right_key(self):
        stranger = Key.new(self.home / "stranger.pem")
        mirror = self.mirror()
        body = mirror.body(mirror.name("targets"))
        body["version"] += 1
        list_evil(body)
        forged = stranger.sign(b"anything", mirror.key("targets").id)
        mirror.list("snapshot", "targets", mirror.write("targets", body, signatures=[forged]))
        self.refused(mirror, "targets.json", "0 of 1 signatures", "arbitrary software attack")
        self.honest(seeder=self.ahead())

    def test_a_target_signed_with_the_key_of_another_role(self):
        for role in ("snapshot", "timestamp"):
            with self.subTest(role):
                self.forget_host()
                mirror = self.mirror(f"mirror-{role}")
                mirror.change("targets", list_evil, signers=[mirror.key(role)])
                self.refused(mirror, "targets.json", "arbitrary software attack")
        self.honest(seeder=self.ahead())

    def test_a_file_that_is_not_the_one_that_is_signed_for(self):
        mirror = self.mirror()
        manifest = next(mirror.path.glob("targets/web/1.1/*.manifest.json"))
        manifest.write_bytes(manifest.read_bytes().replace(b'"code"', b'"file"'))
        self.refused(mirror, manifest.name, "digest that its signed metadata lists")
        self.honest()

    def test_another_repository_in_its_place(self):
        other = self.home / "other"
        self.slipway("repo", "init", "--repo", other)
        self.slipway("publish", "--repo", other, "web@1.1", self.program("1.1"))
        self.refused(other, "timestamp.json", "arbitrary software attack")
        self.honest()


class Time(AttackCase):
    def test_expired_metadata(self):
        for role in (*ROLES, "root"):
            with self.subTest(role):
                self.forget_host()
                mirror = self.mirror(f"mirror-{role}")
                mirror.change(role, lambda body: body.__setitem__("expires", utc(-60)))
                self.refused(mirror, f"{role}.json", "expired at", "freeze attack")
                mirror.change(role, lambda body: body.__setitem__("expires", utc(86_400)))
                self.honest(seeder=mirror)

    def test_a_frozen_timestamp(self):
        """A mirror that never shows 1.1. The timestamp's days are how long that can go unnoticed."""
        self.refused(self.at_1_0, "web@1.1", status=NOT_FOUND)
        in_8_days = self.days_later(8)
        self.refused(self.at_1_0, "timestamp.json", "expired at", "freeze attack", before=in_8_days)
        # What is installed needs no metadata: it can be looked at, and goes back and forth.
        self.agent("verify", "--root", self.host(), before=in_8_days)
        self.publish("1.2", self.program("1.2"), before=in_8_days)
        self.honest(before=in_8_days)
        self.agent("rollback", "--root", self.host(), before=in_8_days)
        self.assertEqual(self.says(), "version 1.0")

    def test_a_clock_that_jumps(self):
        self.refused(self.repo, "expired at", "a wrong clock", before=self.days_later(4_000))
        # An hour with a wrong clock leaves nothing behind, in either direction.
        self.honest(before=self.days_later(-4_000))
        self.agent("rollback", "--root", self.host(), before=self.days_later(4_000))
        self.assertEqual(self.says(), "version 1.0")
        self.honest()


class Back(AttackCase):
    """The host has seen 1.1; a mirror would have it forget that."""

    def setUp(self):
        super().setUp()
        self.honest()

    def test_a_replayed_timestamp(self):
        self.refused(self.at_1_0, "timestamp.json", "version 2 where 3 is trusted already", "rollback attack",
                     version="1.0", runs="1.1")
        self.honest()

    def test_a_rolled_back_snapshot(self):
        mirror = self.mirror()
        old = self.mirror("old", self.at_1_0).body("timestamp.json")["meta"]["snapshot.json"]
        mirror.list("timestamp", "snapshot", old)
        self.refused(mirror, "timestamp.json", "lists snapshot version 2 where 3", "rollback attack",
                     version="1.0", runs="1.1")
        self.honest(seeder=self.ahead())

    def test_rolled_back_targets(self):
        mirror = self.mirror()
        old = self.mirror("old", self.at_1_0)
        listed = old.body(old.name("snapshot"))["meta"]["targets.json"]
        mirror.list("snapshot", "targets", listed)
        self.refused(mirror, "snapshot.json", "lists targets.json version 2 where 3", "rollback attack",
                     version="1.0", runs="1.1")
        self.honest(seeder=self.ahead())

    def test_targets_that_vanish_from_the_snapshot(self):
        self.delegate("team")
        self.honest()
        mirror = self.mirror()
        mirror.change("snapshot", lambda body: body["meta"].pop("team.json"))
        self.refused(mirror, "no longer lists team.json", "rollback attack", runs="1.1")
        self.honest(seeder=self.ahead())

    def test_an_old_root_under_a_new_name(self):
        """It may list a key that was revoked since."""
        self.slipway("repo", "key", "rotate", "root", "--repo", self.repo)
        self.honest()
        mirror = self.mirror()
        shutil.copy(mirror.file("1.root.json"), mirror.file("3.root.json"))
        self.refused(mirror, "3.root.json", "root of the trusted version", "arbitrary software attack", runs="1.1")
        self.honest()


class MixAndMatch(AttackCase):
    def test_an_old_snapshot_under_a_new_name(self):
        mirror = self.mirror()
        shutil.copy(mirror.file("2.snapshot.json"), mirror.file("3.snapshot.json"))
        self.refused(mirror, "3.snapshot.json", "mix-and-match attack")
        self.honest()

    def test_old_targets_under_a_new_name(self):
        mirror = self.mirror()
        shutil.copy(mirror.file("2.targets.json"), mirror.file("3.targets.json"))
        self.refused(mirror, "3.targets.json", "mix-and-match attack")
        self.honest()

    def test_targets_of_another_version_than_listed(self):
        """The holder of snapshot and timestamp pairs a snapshot with targets of their choice."""
        mirror = self.mirror()
        old = mirror.file("2.targets.json").read_bytes()
        mirror.file("9.targets.json").write_bytes(old)
        listed = {"version": 9, "length": len(old), "hashes": {"sha256": sha256(old).hex()}}
        mirror.list("snapshot", "targets", listed)
        self.refused(mirror, "9.targets.json", "version 2 where 9 is listed", "mix-and-match attack")
        self.honest(seeder=self.ahead())

    def test_the_manifest_of_another_artifact(self):
        """Targets that give 1.1 the manifest of 1.0: rightly signed, and still not 1.1."""
        mirror = self.mirror()
        mirror.change("targets", lambda body: body["targets"].__setitem__(
            "web/1.1/manifest.json", body["targets"]["web/1.0/manifest.json"]))
        wanted = next(mirror.path.glob("targets/web/1.0/*.manifest.json"))
        shutil.copy(wanted, mirror.path / "targets/web/1.1")
        self.refused(mirror, "web@1.1", "that of another artifact")
        self.honest(seeder=self.ahead())


class Keys(AttackCase):
    def test_a_revoked_key(self):
        for role in ROLES:
            with self.subTest(role):
                stolen = Key(shutil.copy(self.keys / f"{role}.pem", self.home / f"stolen-{role}.pem"))
                self.slipway("repo", "key", "rotate", role, "--repo", self.repo)
                self.forget_host()
                mirror = self.mirror(f"mirror-{role}")
                mirror.key = keys_after_rotation(mirror, self.keys)
                mirror.change(role, signers=[stolen])
                self.refused(mirror, f"{role}.json", "0 of 1 signatures", "threshold not met")
        self.honest()

    def test_a_threshold_that_is_not_met(self):
        second = self.home / "second"
        second.mkdir(mode=0o700)
        self.slipway("repo", "key", "generate", second / "targets.pem")
        self.slipway("repo", "key", "add", "targets", "--repo", self.repo, second / "targets.pub", "--threshold", "2")
        for keys in (["--keys", second], []):
            self.slipway("repo", "sign", "--repo", self.repo, *keys)
        first = Key(self.keys / "targets.pem")
        for name, signers in {"one": [first], "the second alone": [Key(second / "targets.pem")]}.items():
            with self.subTest(name):
                self.forget_host()
                mirror = self.mirror(f"mirror-{name[:3]}")
                mirror.change("targets", list_evil, signers=signers)
                self.refused(mirror, "targets.json", "1 of 2 signatures that role targets needs", "threshold not met")
        with self.subTest("one twice"):
            self.forget_host()
            mirror = self.mirror("mirror-twice")
            mirror.change("targets", list_evil, signers=[first, first])
            self.refused(mirror, "targets.json", "two signatures under one key id", "threshold not met")
        with self.subTest("both"):
            self.forget_host()
            mirror = self.mirror("mirror-both")
            mirror.change("targets", signers=[first, Key(second / "targets.pem")])
            self.honest(seeder=mirror)

    def test_a_delegated_key_that_signs_outside_its_prefix(self):
        key = self.delegate("team")
        body = {"_type": "targets", "spec_version": "1.0.34", "version": 2, "expires": utc(86_400), "targets": {}}
        real = self.mirror("real")
        listed = real.body(real.name("targets"))["targets"]
        # A release that only this role lists, and other bytes for one that its owner lists.
        for name in ("manifest.json", "packmap"):
            body["targets"][f"web/6.6/{name}"] = listed[f"web/1.1/{name}"]
        list_evil(body)
        mirror = self.mirror()
        mirror.list("snapshot", "team", mirror.write("team", body, signers=[key]))
        # It does not exist for the host: nothing that this role could say about it is even asked for.
        self.refused(mirror, "web@6.6", version="6.6", status=NOT_FOUND)
        shown = self.slipway("list", "--repo", mirror.path, "--trust", self.trust, "--json").last_json()
        self.assertEqual([one["artifact"] for one in shown["artifacts"]], ["web@1.0", "web@1.1"])
        # Nor does it sign for the role above it.
        self.forget_host()
        above = self.mirror("above")
        above.change("targets", list_evil, signers=[key])
        self.refused(above, "targets.json", "0 of 1 signatures that role targets needs", "arbitrary software attack")
        # The bytes that its owner signed for come through, whatever the role says of them.
        self.forget_host()
        self.honest(seeder=mirror)

    def test_versions_that_a_thief_of_the_online_keys_ran_ahead_with(self):
        """A fast-forward attack: what the owner publishes seems old. New online keys undo it."""
        mirror = self.mirror()
        for role in ("snapshot", "timestamp"):
            mirror.change(role, lambda body: body.__setitem__("version", 2**31))
        self.honest("1.0", mirror)
        self.refused(self.repo, "timestamp.json", "rollback attack")
        for role in ("snapshot", "timestamp"):
            self.slipway("repo", "key", "rotate", role, "--repo", self.repo)
        self.honest()

    def test_a_root_that_only_the_new_keys_sign(self):
        stranger = Key.new(self.home / "stranger.pem")
        mirror = self.mirror()

        def take_over(body):
            body["keys"][stranger.id] = stranger.public
            for role in body["roles"].values():
                role["keyids"] = [stranger.id]

        mirror.change("root", take_over, signers=[stranger])
        self.refused(mirror, "2.root.json", "role root of the trusted version", "arbitrary software attack")
        self.honest()


def keys_after_rotation(mirror, keys):
    """Rotated keys are in files with their id's first digits in the name."""
    root = mirror.body(mirror.name("root"))

    def key(role):
        found = [Key(pem) for pem in keys.glob(f"{role}*.pem")]
        return next(one for one in found if one.id in root["roles"][role]["keyids"])

    return key


if __name__ == "__main__":
    main()
