#!/usr/bin/env python3
"""Keys of the repository: several holders, rotation, loss and compromise, delegation, encrypted keys
and keys in a PKCS#11 token. The commands of docs/keys.md are run here."""

import json
import os
import shutil
import stat
import subprocess
import unittest
from pathlib import Path

from harness import BIN, DONE, FAILED, NOT_FOUND, USAGE, VERIFICATION_FAILED, Case, main, write

ROLES = ("root", "targets", "snapshot", "timestamp")
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")


def canonical(body):
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def without_strace():
    if not shutil.which("strace"):
        return True
    return subprocess.run(["strace", "-f", "true"], stderr=subprocess.DEVNULL).returncode != 0


class KeyCase(Case):
    def setUp(self):
        super().setUp()
        self.init_repo()
        self.keys = self.home / "repo.keys"
        self.small = write(self.home / "small/file", "content").parent

    def repo_command(self, *args, keys=None, **options):
        split = 2 if args[0] in ("key", "root") else 1
        where = ["--repo", self.repo, "--keys", keys or self.keys]
        return self.slipway("repo", *args[:split], *where, *args[split:], "--json", **options)

    def holder(self, name, *roles):
        """A second person: a directory with a new key for each role, and the public halves."""
        keys = self.home / f"keys.{name}"
        keys.mkdir(mode=0o700)
        for role in roles:
            self.slipway("repo", "key", "generate", keys / f"{role}.pem")
        return keys

    def hand_over(self, source, target, *roles):
        target.mkdir(mode=0o700, exist_ok=True)
        for role in roles:
            for file in source.glob(f"{role}*.pem"):
                shutil.move(file, target / file.name)

    def publish_small(self, version, *flags, name="web", keys=None, **options):
        keys = ["--keys", keys or self.keys]
        return self.publish(version, self.small, *keys, *flags, name=name, **options)

    def key_ids(self, role):
        roles = self.repo_command("key", "list").last_json()["roles"]
        return next(one for one in roles if one["role"] == role)["keys"]

    def sign_file(self, body, key):
        """A metadata file as somebody with that key would make it, whatever it says."""
        message = write(self.home / "message", canonical(body))
        signature = subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", message],
            check=True, stdout=subprocess.PIPE,
        ).stdout
        public = self.slipway("repo", "key", "show", key.name.split(".")[0].split("+")[0],
                              "--keys", key.parent, "--json").last_json()["key"]
        return json.dumps(
            {"signatures": [{"keyid": public, "sig": signature.hex()}], "signed": body}
        ).encode()

    def body(self, name):
        return json.loads((self.repo / "metadata" / name).read_bytes())["signed"]

    def newest(self, role):
        names = (self.repo / "metadata").glob(f"*.{role}.json")
        return max(names, key=lambda path: int(path.name.split(".")[0])).name


class Rotation(KeyCase):
    def test_each_role_while_agents_go_on(self):
        self.publish_small("1.0")
        self.install("1.0", self.repo)
        for number, role in enumerate(ROLES, 1):
            with self.subTest(role):
                before = self.key_ids(role)
                rotated = self.repo_command("key", "rotate", role).last_json()
                self.assertEqual(rotated["waiting"], [])
                self.assertIn(f"{number + 1}.root.json", rotated["published"])
                self.assertNotEqual(self.key_ids(role), before)
                self.publish_small(f"1.{number}")
                self.install(f"1.{number}", self.repo)
                self.assert_runs(self.small)
        # One that slept through all of it follows the roots one by one.
        self.install("1.4", self.repo, self.host("late"))
        self.assert_runs(self.small, self.host("late"))
        for path in [*self.keys.glob("*.pem"), *self.keys.glob("retired/*")]:
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)
        self.assertEqual((self.keys / "retired").stat().st_mode & 0o777, 0o700)

    def test_what_a_revoked_key_signs_is_refused(self):
        self.publish_small("1.0")
        self.install("1.0", self.repo)
        for role, name in (("timestamp", "timestamp.json"),):
            stolen = self.home / "stolen"
            stolen.mkdir(mode=0o700)
            shutil.copy(self.keys / f"{role}.pem", stolen)
            self.repo_command("key", "rotate", role)
            self.install("1.0", self.repo)
            body = self.body(name)
            body["version"] += 1
            mirror = self.home / f"mirror-{role}"
            shutil.copytree(self.repo, mirror)
            (mirror / "metadata" / name).write_bytes(self.sign_file(body, stolen / f"{role}.pem"))
            outcome = self.install("1.0", mirror, status=VERIFICATION_FAILED)
            self.assertIn("threshold not met", outcome.err)
            self.install("1.0", mirror, self.host("new"), status=VERIFICATION_FAILED)

    @unittest.skipIf(without_strace(), "strace cannot trace here")
    def test_killed_at_any_rename_a_rotation_leaves_a_repository_that_serves(self):
        self.publish_small("1.0")
        fresh = {name: self.home / f"fresh-{name}" for name in ("repo", "repo.keys")}
        for name, path in fresh.items():
            shutil.copytree(self.home / name, path)
        for lost_key in (False, True):
            killed = 0
            for when in range(1, 12):
                for name, path in fresh.items():
                    shutil.rmtree(self.home / name)
                    shutil.copytree(path, self.home / name)
                if lost_key:
                    (self.keys / "targets.pem").unlink()
                inject = f"inject=rename,renameat2:signal=KILL:when={when}"
                ended = subprocess.run(
                    ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=rename,renameat2",
                     "-e", inject, BIN / "slipway", "repo", "key", "rotate", "targets",
                     "--repo", self.repo],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
                )
                with self.subTest(lost_key=lost_key, when=when):
                    if ended.returncode == DONE:
                        break
                    killed += 1
                    if not lost_key:
                        self.install("1.0", self.repo, self.host(f"host-{when}"))
                    # And the next command goes on: what was staged is completed or can be redone.
                    self.repo_command("sign")
                    if self.newest("root") == "1.root.json":
                        self.repo_command("key", "rotate", "targets", "--old", self.key_ids("targets")[0])
                    self.publish_small("1.1")
                    self.install("1.1", self.repo, self.host(f"host-{lost_key}-{when}"))
            self.assertGreater(killed, 3)


class Holders(KeyCase):
    def test_two_holders_of_targets(self):
        self.publish_small("1.0")
        second = self.holder("second", "targets")
        added = self.repo_command(
            "key", "add", "targets", second / "targets.pub", "--threshold", "2"
        ).last_json()
        self.assertEqual([one["role"] for one in added["waiting"]], ["targets"])
        self.repo_command("sign", keys=second)
        self.assertEqual(self.repo_command("sign").last_json()["waiting"], [])

        published = self.publish_small("1.1", "--json").last_json()
        self.assertEqual(published["waiting"][0]["threshold"], 2)
        self.install("1.1", self.repo, status=NOT_FOUND)
        text = self.publish_small("1.2", status=FAILED).err
        self.assertIn("slipway repo sign", text)
        shown = self.repo_command("sign", "--show", keys=second).last_json()
        self.assertIn("adds web/1.1/manifest.json", shown["changes"]["targets"])
        self.repo_command("sign", keys=second)
        self.install("1.1", self.repo, status=NOT_FOUND)
        self.assertIn("timestamp.json", self.repo_command("sign").last_json()["published"])
        self.install("1.1", self.repo)
        self.assert_runs(self.small)
        # What one of them does not agree with is dropped.
        self.publish_small("1.2")
        self.repo_command("sign", "--discard", "targets", keys=second)
        self.assertEqual(self.repo_command("sign").last_json()["published"], [])
        self.install("1.2", self.repo, status=NOT_FOUND)

    def test_two_holders_of_the_root(self):
        second = self.holder("second", "root")
        added = self.repo_command(
            "key", "add", "root", second / "root.pub", "--threshold", "2"
        ).last_json()
        self.assertEqual(added["published"], [])
        self.assertEqual(
            self.repo_command("sign", keys=second).last_json()["published"], ["2.root.json"]
        )
        self.repo_command("key", "rotate", "timestamp")
        self.assertEqual(self.newest("root"), "2.root.json")
        self.repo_command("sign", keys=second)
        # The second holder signed; the first one has the new timestamp key.
        self.repo_command("sign")
        self.assertEqual(self.newest("root"), "3.root.json")
        self.publish_small("1.0")
        self.install("1.0", self.repo)

    def test_the_exported_root_is_what_new_hosts_trust(self):
        self.publish_small("1.0")
        self.repo_command("key", "rotate", "root")
        out = self.home / "exported.json"
        self.repo_command("root", "export", "--out", out)
        self.assertEqual(out.read_bytes(), (self.repo / "metadata/2.root.json").read_bytes())
        printed = self.slipway("repo", "root", "export", "--repo", self.repo)
        self.assertEqual(printed.out.encode(), out.read_bytes())
        args = [out if arg == self.trust else arg for arg in self.install_args("1.0", self.repo)]
        self.agent(*args)
        self.assert_runs(self.small)

    def test_expiry_of_root_and_targets_is_renewed_by_hand(self):
        done = self.repo_command("sign", "--renew", "root", "--renew", "targets").last_json()
        self.assertEqual(done["published"][-1], "2.root.json")
        self.publish_small("1.0")
        self.install("1.0", self.repo)

    def test_wrong_usage(self):
        self.repo_command("key", "threshold", "targets", "2", status=USAGE)
        self.repo_command("key", "revoke", "targets", self.key_ids("targets")[0], status=USAGE)
        self.repo_command("key", "revoke", "targets", "00000000", status=NOT_FOUND)
        self.repo_command("key", "add", "targets", self.keys / "targets.pem", status=USAGE)
        self.repo_command("key", "add", "nobody", status=NOT_FOUND)
        self.assertEqual(self.newest("root"), "1.root.json")


class Delegation(KeyCase):
    def setUp(self):
        super().setUp()
        self.publish_small("1.0", name="db")
        self.team = self.holder("team", "web")
        self.repo_command("delegate", "web", self.team / "web.pub")
        self.repo_command("sign", keys=self.team)
        self.repo_command("sign")
        for role in ("snapshot", "timestamp"):  # As somebody has who publishes.
            shutil.copy(self.keys / f"{role}.pem", self.team)

    def test_an_agent_installs_what_a_delegated_key_signed(self):
        published = self.publish_small("1.0", "--json", keys=self.team).last_json()
        self.assertEqual(published["waiting"], [])
        self.assertTrue((self.repo / "metadata/2.web.json").exists())
        self.install("1.0", self.repo)
        self.assert_runs(self.small)
        self.install("1.0", self.repo, self.host("db"), name="db")
        outcome = self.publish_small("2.0", name="db", keys=self.team, status=NOT_FOUND)
        self.assertIn("web only", outcome.err)
        roles = self.repo_command("key", "list").last_json()["roles"]
        self.assertEqual([one["role"] for one in roles if one["delegated"]], ["web"])

    def test_a_delegated_key_outside_its_prefix_is_refused_by_hosts(self):
        """The holder of the key goes round `slipway publish` and signs anything."""
        self.publish_small("1.0", keys=self.team)
        self.install("1.0", self.repo, service="db", name="db")
        role = self.body("2.web.json")
        for file in ("manifest.json", "packmap"):
            role["targets"][f"db/9.0/{file}"] = role["targets"][f"web/1.0/{file}"]
        self.sign_all(role)
        outcome = self.install("9.0", self.repo, service="db", name="db", status=NOT_FOUND)
        self.assertIn("db@9.0", outcome.err)
        self.assert_runs(self.small, service="db")
        self.install("1.0", self.repo)

    def sign_all(self, role):
        """The delegated role's file, and snapshot and timestamp over it, by their real keys."""
        metadata = self.repo / "metadata"
        listed = lambda body, file: {"version": body["version"], "length": len(file)}
        role["version"] += 1
        file = self.sign_file(role, self.team / "web.pem")
        write(metadata / f"{role['version']}.web.json", file)
        snapshot = self.body(self.newest("snapshot"))
        snapshot["version"] += 1
        snapshot["meta"]["web.json"] = listed(role, file)
        file = self.sign_file(snapshot, self.team / "snapshot.pem")
        write(metadata / f"{snapshot['version']}.snapshot.json", file)
        timestamp = self.body("timestamp.json")
        timestamp["version"] += 1
        timestamp["meta"]["snapshot.json"] = listed(snapshot, file)
        write(metadata / "timestamp.json", self.sign_file(timestamp, self.team / "timestamp.pem"))

    def test_its_key_is_replaced_and_the_delegation_taken_back(self):
        self.publish_small("1.0", keys=self.team)
        stolen = self.home / "stolen.pem"
        shutil.move(self.team / "web.pem", stolen)
        self.slipway("repo", "key", "generate", self.team / "web+2.pem")
        self.repo_command("key", "rotate", "web", self.team / "web+2.pub")
        self.repo_command("sign", keys=self.team)
        self.assertEqual(self.repo_command("sign").last_json()["waiting"], [])
        self.publish_small("1.1", keys=self.team)
        self.install("1.1", self.repo)
        self.repo_command("undelegate", "web")
        self.install("1.1", self.repo, self.host("new"), status=NOT_FOUND)
        self.publish_small("1.2", keys=self.team, status=NOT_FOUND)


class Losses(KeyCase):
    """docs/keys.md: losing a key."""

    def setUp(self):
        super().setUp()
        self.publish_small("1.0")
        self.install("1.0", self.repo)

    def assert_recovered(self, version="1.1"):
        self.publish_small(version)
        for host in (self.host(), self.host("new")):
            self.install(version, self.repo, host)
            self.assert_runs(self.small, host)

    def test_timestamp(self):
        self.repo_command("key", "rotate", "timestamp")
        self.assert_recovered()

    def test_timestamp_lost_with_the_machine(self):
        os.unlink(self.keys / "timestamp.pem")
        self.repo_command("key", "rotate", "timestamp")
        self.assert_recovered()

    def test_snapshot(self):
        for role in ("snapshot", "timestamp"):
            self.repo_command("key", "rotate", role)
        self.assert_recovered()

    def test_targets(self):
        for role in ("targets", "snapshot", "timestamp"):
            self.repo_command("key", "rotate", role)
        self.assert_recovered()

    def test_one_of_several_root_keys(self):
        second = self.holder("second", "root")
        third = self.holder("third", "root")
        self.repo_command("key", "add", "root", second / "root.pub", third / "root.pub",
                          "--threshold", "2")
        self.repo_command("sign", keys=second)
        lost = self.key_ids("root")[2]
        shutil.rmtree(third)
        self.repo_command("key", "rotate", "root", "--old", lost)
        done = self.repo_command("sign", keys=second).last_json()
        self.assertEqual(done["published"], ["3.root.json"])
        self.assertNotIn(lost, self.key_ids("root"))
        self.assert_recovered()

    def test_a_repository_of_somebody_else_is_not_signed(self):
        shutil.rmtree(self.repo)
        self.slipway("repo", "init", "--repo", self.repo, "--keys", self.home / "other")
        outcome = self.publish_small("6.6", status=VERIFICATION_FAILED)
        self.assertIn("root.json", outcome.err)


class Encrypted(KeyCase):
    def setUp(self):
        Case.setUp(self)
        self.keys = self.home / "repo.keys"
        self.small = write(self.home / "small/file", "content").parent
        self.passphrase = write(self.home / "passphrase", "correct horse\n", 0o600)

    def test_every_kind_encrypted(self):
        for kind in ("ed25519", "ecdsa", "rsa"):
            with self.subTest(kind):
                repo = self.home / kind
                where = ["--repo", repo, "--passphrase-file", self.passphrase]
                self.slipway("repo", "init", *where, "--encrypt", "--type", kind)
                for key in (self.home / f"{kind}.keys").glob("*.pem"):
                    self.assertIn(b"ENCRYPTED", key.read_bytes())
                self.slipway("publish", *where, "web@1.0", self.small)
                self.slipway("verify", "--repo", repo)

    def test_wrong_and_missing_passphrases_are_refused(self):
        where = ["--repo", self.repo]
        self.slipway("repo", "init", *where, "--encrypt", "--passphrase-file", self.passphrase)
        wrong = write(self.home / "wrong", "incorrect horse\n", 0o600)
        publish = ["publish", *where, "web@1.0", self.small]
        refused = self.slipway(*publish, "--passphrase-file", wrong, status=FAILED)
        self.assertIn("passphrase is wrong", refused.err)
        self.assertNotIn("incorrect horse", refused.err)
        without = self.slipway(*publish, status=FAILED, start_new_session=True)
        self.assertIn("--passphrase-file", without.err)
        self.passphrase.chmod(0o644)
        open_file = self.slipway(*publish, "--passphrase-file", self.passphrase, status=FAILED)
        self.assertIn("chmod 600", open_file.err)
        self.passphrase.chmod(0o600)
        environment = {**os.environ, "SLIPWAY_KEY_PASSPHRASE_FILE": str(self.passphrase)}
        self.slipway(*publish, env=environment)
        read_end, write_end = os.pipe()
        os.write(write_end, b"correct horse\n")
        os.close(write_end)
        self.slipway(
            "publish", *where, "--passphrase-fd", read_end, "web@1.1", self.small,
            pass_fds=[read_end],
        )
        os.close(read_end)


@unittest.skipUnless(SOFTHSM.exists() and shutil.which("pkcs11-tool"), "SoftHSM is not installed")
class Token(KeyCase):
    """Keys that never leave a PKCS#11 token."""

    def setUp(self):
        super().setUp()
        (self.home / "tokens").mkdir()
        config = write(
            self.home / "softhsm2.conf",
            f"directories.tokendir = {self.home}/tokens\nobjectstore.backend = file\n",
        )
        self.environment = {**os.environ, "SOFTHSM2_CONF": str(config)}
        self.run_tool("softhsm2-util", "--init-token", "--free", "--label", "slipway",
                      "--so-pin", "0000", "--pin", "1234")
        self.pin = write(self.home / "pin", "1234\n", 0o600)

    def run_tool(self, *command):
        subprocess.run(command, check=True, env=self.environment, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def make_key(self, role, kind, number):
        self.run_tool("pkcs11-tool", "--module", SOFTHSM, "--login", "--pin", "1234",
                      "--keypairgen", "--key-type", kind, "--label", role, "--id", number)
        uri = f"pkcs11:token=slipway;object={role}"
        return write(
            self.home / f"keys.token/{role}.uri",
            f"{uri};type=private?module-path={SOFTHSM}&pin-source=file:{self.pin}\n", 0o600,
        )

    def test_publishing_with_keys_in_a_token(self):
        token = self.home / "keys.token"
        for number, (role, kind) in enumerate((("targets", "EC:prime256v1"), ("snapshot", "rsa:2048")), 1):
            file = self.make_key(role, kind, f"0{number}")
            public = self.slipway("repo", "key", "show", role, "--keys", token,
                                  env=self.environment)
            pem = write(self.home / f"{role}.pub", public.out)
            self.assertIn("BEGIN PUBLIC KEY", public.out)
            self.assertNotIn("1234", file.read_text())
            shutil.copy(file, self.keys / f"{role}+token.uri")
            self.repo_command("key", "rotate", role, pem, env=self.environment)
            self.assertFalse((self.keys / f"{role}.pem").exists())
        self.publish_small("1.0", env=self.environment)
        self.install("1.0", self.repo)
        self.assert_runs(self.small)
        self.pin.write_text("9999\n")
        refused = self.publish_small("1.1", env=self.environment, status=FAILED)
        self.assertIn("PIN", refused.err)
        self.assertNotIn("9999", refused.err)


if __name__ == "__main__":
    main()
