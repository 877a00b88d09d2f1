"""`slipway ca`: what it issues is what other programs' TLS takes, and what openssl says it is."""

import os
import subprocess
import unittest

from harness import FAILED, NOT_FOUND, USAGE, Case, main


class CertificateAuthority(Case):
    def setUp(self):
        super().setUp()
        self.ca = self.home / "ca"

    def make(self, *flags):
        return self.slipway("ca", "init", "--ca", self.ca, *flags)

    def issue(self, identity, *flags, **options):
        out = self.home / identity.replace("/", "-").split("?")[0]
        options.setdefault("status", 0)
        self.slipway("ca", "issue", "--ca", self.ca, identity, "--out", out, *flags, **options)
        return out

    def openssl(self, *args, status=0):
        ended = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=20)
        self.assertEqual(ended.returncode, status, ended.stdout + ended.stderr)
        return ended.stdout + ended.stderr

    def test_openssl_accepts_what_is_issued_for_both_sides_of_a_connection(self):
        for number, algorithm in enumerate(("p256", "ed25519")):
            self.ca = self.home / f"ca{number}"
            self.make("--algorithm", algorithm)
            out = self.issue(f"seeder/eu{number}", "--dns", "seeder.example", "--ip", "127.0.0.1", "--ip", "::1",
                             "--algorithm", algorithm)
            for purpose in ("sslserver", "sslclient"):
                self.openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", self.ca / "ca.pem",
                             "-CRLfile", self.ca / "ca.crl", "-crl_check", out / "cert.pem")
            text = self.openssl("x509", "-in", out / "cert.pem", "-noout", "-text")
            self.assertIn(f"URI:slipway://seeder/eu{number}, DNS:*, DNS:seeder.example, IP Address:127.0.0.1", text)
            self.assertIn("Digital Signature", text)
            self.assertIn("CA:FALSE", text)
            self.assertEqual(os.stat(out / "key.pem").st_mode & 0o777, 0o600)

    def test_only_those_that_share_packs_get_the_name_that_swarms_ask_for(self):
        self.make()
        for identity, has in (("agent/h1", True), ("publisher/ci", False), ("operator/ann?role=admin", False)):
            out = self.issue(identity)
            text = self.openssl("x509", "-in", out / "cert.pem", "-noout", "-ext", "subjectAltName")
            self.assertEqual("DNS:*" in text, has, text)
            self.assertIn(f"URI:slipway://{identity}", text)

    def test_revoking_reaches_the_list_and_the_index(self):
        self.make()
        out = self.issue("agent/h1")
        self.slipway("ca", "revoke", "--ca", self.ca, "agent/h1")
        check = ["verify", "-CAfile", self.ca / "ca.pem", "-CRLfile", self.ca / "ca.crl", "-crl_check"]
        self.assertIn("certificate revoked", self.openssl(*check, out / "cert.pem", status=2))
        listed = self.slipway("ca", "list", "--ca", self.ca, "--json").last_json()["certificates"]
        self.assertEqual([one["identity"] for one in listed], ["agent/h1"])
        self.assertIsNotNone(listed[0]["revoked"])
        number = self.openssl("crl", "-in", self.ca / "ca.crl", "-noout", "-crlnumber")
        self.slipway("ca", "crl", "--ca", self.ca, "--days", "5")
        self.assertNotEqual(number, self.openssl("crl", "-in", self.ca / "ca.crl", "-noout", "-crlnumber"))
        self.assertIn("certificate revoked", self.openssl(*check, out / "cert.pem", status=2))

    def test_refusals_say_what_to_do(self):
        self.assertIn("slipway ca init", self.slipway("ca", "list", "--ca", self.ca, status=NOT_FOUND).err)
        self.make()
        self.assertIn("already", self.slipway("ca", "init", "--ca", self.ca, status=FAILED).err)
        refused = self.slipway("ca", "issue", "--ca", self.ca, "seeder/eu", "--out", self.home / "x", status=USAGE)
        self.assertIn("--dns", refused.err)
        for bad in ("root/x", "agent/", "agent/A", "operator/ann", "../x"):
            self.issue(bad, status=USAGE)
        self.issue("agent/h1")
        self.slipway("ca", "issue", "--ca", self.ca, "agent/h2", "--out", self.home / "agent-h1", status=FAILED)
        self.slipway("ca", "revoke", "--ca", self.ca, "agent/h9", status=NOT_FOUND)


if __name__ == "__main__":
    main()
