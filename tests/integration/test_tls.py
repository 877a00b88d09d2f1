#!/usr/bin/env python3
"""Mutual TLS between the real programs: who comes in, who does not, and why."""

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import unittest
import urllib.parse

from orchestrator_fleet import Orchestrator, until
from harness import FAILED, USAGE, VERIFICATION_FAILED, Case, Fleet, Seeder, main, write


class TlsCase(Case):
    def setUp(self):
        super().setUp()
        self.init_repo()
        self.source = self.tree("1.0")
        self.publish("1.0", self.source)
        self.fleet = Fleet(self)

    def seeder(self, *flags, crl=False):
        return Seeder(self, self.repo, *self.fleet.flags("seeder/eu", crl=crl), *flags)

    def refused(self, seeder, flags, status=FAILED):
        """An install that must not come to pass; gives what it said."""
        before = self.host_state()
        outcome = self.install("1.0", seeder.url, None, *flags, status=status)
        self.assertEqual(self.host_state(), before)
        return outcome.err

    def listing_refused(self, seeder, flags):
        """What is said by `slipway list`, which has the control connection only."""
        return self.slipway("list", "--repo", seeder.url, "--trust", self.trust, *flags, status=FAILED).err

    def connect(self, seeder, party=None, context=None):
        where = urllib.parse.urlparse(seeder.url)
        context = context or self.fleet.python_context(party)
        return http.client.HTTPSConnection(where.hostname, where.port, context=context, timeout=10)

    def ask(self, seeder, path, party, method="GET", body=None):
        connection = self.connect(seeder, party)
        try:
            connection.request(method, path, body)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def wait_for_log(self, process, text, timeout_s=10):
        deadline = time.monotonic() + timeout_s
        while text not in process.errors():
            self.assertLess(time.monotonic(), deadline, process.errors())
            time.sleep(0.05)


class Admission(TlsCase):
    def test_an_agent_of_the_fleet_installs(self):
        seeder = self.seeder(crl=True)
        self.assertTrue(seeder.url.startswith("https://"))
        self.install("1.0", seeder.url, None, *self.fleet.flags("agent/h1", crl=True))
        self.assert_runs(self.source)

    def test_operators_and_publishers_read_the_repository(self):
        seeder = self.seeder()
        for identity in ("operator/ann?role=viewer", "publisher/ci"):
            flags = self.fleet.flags(identity)
            listed = self.slipway("list", "--repo", seeder.url, "--trust", self.trust, *flags, "--json")
            self.assertEqual(listed.last_json()["artifacts"][0]["artifact"], "web@1.0")

    def test_a_stranger_without_certificate_gets_nothing(self):
        seeder = self.seeder()
        listing = self.slipway("list", "--repo", seeder.url, "--trust", self.trust, status=VERIFICATION_FAILED)
        self.assertIn("--tls-ca", listing.err)
        for path in ("/metadata/timestamp.json", "/v1/seeder", "/healthz", "/announce"):
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.ask(seeder, path, None)
        self.wait_for_log(seeder, "tls.refused")

    def test_a_stranger_in_plain_text_gets_nothing(self):
        seeder = self.seeder()
        where = urllib.parse.urlparse(seeder.url)
        with socket.create_connection((where.hostname, where.port), timeout=5) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertNotIn(b"HTTP/1.1 200", plain.recv(4096))

    def test_a_certificate_of_a_foreign_authority_is_refused(self):
        seeder = self.seeder()
        foreign = Fleet(self, "foreign")
        party = foreign.issue("agent/h1")
        shutil.copy(self.fleet.ca / "ca.pem", party / "ca.pem")
        flags = ["--tls-cert", party / "cert.pem", "--tls-key", party / "key.pem", "--tls-ca", party / "ca.pem"]
        self.assertIn("refuses our certificate", self.listing_refused(seeder, flags))
        self.assertIn("not signed by any of the authorities given", self.refused(seeder, flags))
        self.wait_for_log(seeder, "does not lead to the authority in --tls-ca")

    def test_a_seeder_of_a_foreign_fleet_is_refused_by_the_agent(self):
        foreign = Fleet(self, "foreign")
        seeder = Seeder(self, self.repo, *foreign.flags("seeder/eu"))
        said = self.refused(seeder, self.fleet.flags("agent/h1"), VERIFICATION_FAILED)
        self.assertIn("does not lead to the authority in --tls-ca", said)

    def test_a_revoked_certificate_is_refused_without_a_restart(self):
        seeder = self.seeder(crl=True)
        flags = self.fleet.flags("agent/h1")
        self.install("1.0", seeder.url, self.host("first"), *flags)
        self.fleet.revoke("agent/h1")
        self.assertIn("revoked", self.refused(seeder, flags))
        self.install("1.0", seeder.url, None, *self.fleet.flags("agent/h2"))

    def test_a_revoked_party_does_not_stay_in_on_a_connection_that_it_kept_open(self):
        seeder = self.seeder(crl=True)
        connection = self.connect(seeder, self.fleet.issue("agent/h1"))
        self.addCleanup(connection.close)
        connection.request("GET", "/healthz")
        self.assertEqual(connection.getresponse().read(), b"ok\n")
        kept = connection.sock
        self.assertIsNotNone(kept)
        self.fleet.revoke("agent/h1")
        connection.request("GET", "/healthz")
        reply = connection.getresponse()
        reply.read()
        self.assertEqual(reply.headers["Connection"], "close")
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            connection.request("GET", "/healthz")
            connection.getresponse()

    def test_an_expired_certificate_is_refused(self):
        party = self.fleet.issue("agent/h1")
        seeder = self.seeder()
        # The authority's own program cannot issue what is over already; openssl can.
        self.openssl_sign(party, "URI:slipway://agent/h1", ["-startdate", "20200101000000Z", "-enddate",
                                                            "20200201000000Z"])
        self.assertIn("expired", self.listing_refused(seeder, self.fleet.flags_of(party)))
        self.assertIn("expired on", self.refused(seeder, self.fleet.flags_of(party)))

    def openssl_sign(self, party, names, dates):
        config = write(self.home / "sign.cnf", f"""
[ca]
default_ca = own
[own]
database = {self.home}/sign.txt
new_certs_dir = {self.home}
default_md = sha256
policy = any
rand_serial = yes
unique_subject = no
x509_extensions = leaf
[any]
commonName = optional
[leaf]
subjectAltName = {names}
[req]
distinguished_name = name
[name]
""")
        write(self.home / "sign.txt", "")
        for command in (
            ["req", "-new", "-key", party / "key.pem", "-subj", "/CN=x", "-config", config, "-out", self.home / "r"],
            ["ca", "-batch", "-config", config, "-cert", self.fleet.ca / "ca.pem", "-keyfile", self.fleet.ca / "ca.key",
             "-in", self.home / "r", "-out", party / "cert.pem", "-notext", *dates],
        ):
            ended = subprocess.run(["openssl", *map(str, command)], capture_output=True, text=True, timeout=20)
            self.assertEqual(ended.returncode, 0, ended.stderr)

    def test_a_certificate_that_names_two_identities_is_refused(self):
        party = self.fleet.issue("agent/h1")
        seeder = self.seeder()
        self.openssl_sign(party, "URI:slipway://agent/h1,URI:slipway://publisher/ci", ["-days", "2"])
        context = self.fleet.python_context(party)
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            connection = self.connect(seeder, context=context)
            connection.request("GET", "/healthz")
            connection.getresponse()
        self.wait_for_log(seeder, "names two identities")

    def test_a_client_of_tls_1_2_is_refused(self):
        seeder = self.seeder()
        context = self.fleet.python_context(self.fleet.issue("agent/h1"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.connect(seeder, context=context).request("GET", "/healthz")

    def test_a_seeder_impersonated_with_an_agents_key_is_refused_by_the_agent(self):
        self.assertIn("not of a seeder", self.run_program(
            "slipway-seeder", "run", "--repo", self.repo, *self.fleet.flags("agent/evil"), status=USAGE).err)
        impostor = TlsServer(self, self.fleet, self.fleet.issue("agent/evil"))
        said = self.refused(impostor, self.fleet.flags("agent/h1"), VERIFICATION_FAILED)
        self.assertIn("agent/evil, which is no seeder", said)
        self.assertEqual(impostor.received, b"")

    def test_a_seeder_under_another_name_is_refused_by_the_agent(self):
        seeder = self.seeder()
        url = seeder.url.replace("127.0.0.1", "localhost")
        said = self.install("1.0", url, None, *self.fleet.flags("agent/h1"), status=VERIFICATION_FAILED).err
        self.assertIn("localhost", said)

    def test_a_role_that_may_not_announce_gets_403_and_the_reason(self):
        seeder = self.seeder()
        status, body = self.ask(seeder, "/announce?x", self.fleet.issue("publisher/ci"))
        self.assertEqual(status, 403)
        self.assertIn(b"publisher/ci may not announce to the tracker", body)


class TlsServer:
    """A server with a party's certificate that records what it is sent after the handshake."""

    def __init__(self, test, fleet, party):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(fleet.ca / "ca.pem"))
        context.load_cert_chain(party / "cert.pem", party / "key.pem")
        self.received = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.2)
        self.over = False
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, args=(context,), daemon=True)
        self.thread.start()
        test.addCleanup(self.stop)

    def serve(self, context):
        while not self.over:
            try:
                plain, _ = self.listener.accept()
                plain.settimeout(2)
                with context.wrap_socket(plain, server_side=True) as secure:
                    self.received += secure.recv(4096)
            except (OSError, ssl.SSLError):
                pass

    def stop(self):
        self.over = True
        self.thread.join(5)
        self.listener.close()


class Rotation(TlsCase):
    def test_a_certificate_is_renewed_while_a_transfer_runs_and_without_a_restart(self):
        seeder = self.seeder(crl=True)
        party = self.fleet.issue("agent/h1")
        pack = max(self.repo.glob("packs/*"), key=lambda path: path.stat().st_size)
        connection = self.connect(seeder, party)
        self.addCleanup(connection.close)
        connection.request("GET", f"/packs/{pack.name}")
        reply = connection.getresponse()
        body = reply.read(100_000)
        old = connection.sock.getpeercert(True) if connection.sock else None
        self.fleet.issue("seeder/eu")  # New key, new certificate, same files.
        fresh = self.connect(seeder, party)
        self.addCleanup(fresh.close)
        fresh.connect()
        self.assertNotEqual(fresh.sock.getpeercert(True), old)
        body += reply.read()
        self.assertEqual(body, pack.read_bytes())
        self.wait_for_log(seeder, "tls.reloaded")

    def test_the_orchestrator_takes_new_files_without_a_restart_and_keeps_those_who_watch(self):
        orchestrator = Orchestrator(
            self, self.fleet.flags("orchestrator/main", crl=True), "--database", f"sqlite:{self.home}/db",
            "--repo", self.repo, "--state", self.home / "orchestrator",
        )
        watcher, other = self.fleet.issue("operator/ann?role=admin"), self.fleet.issue("operator/bob?role=viewer")
        until(lambda: self.ask(orchestrator, "/v1/hosts", watcher)[0] == 200)
        connection = self.connect(orchestrator, watcher)
        self.addCleanup(connection.close)
        connection.request("GET", "/v1/events")
        reply = connection.getresponse()
        old = self.certificate_of(orchestrator, watcher)
        self.fleet.issue("orchestrator/main")  # New key, new certificate, same files.
        self.fleet.revoke("operator/bob?role=viewer")
        self.assertNotEqual(self.certificate_of(orchestrator, watcher), old)
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.ask(orchestrator, "/v1/hosts", other)
        status, said = self.ask(orchestrator, "/v1/freezes/all", watcher, "PUT", json.dumps({"why": "a test"}))
        self.assertLess(status, 300, said)
        # Whoever watched when the files changed hears of it on the same connection.
        self.assertTrue(any(b"freeze" in line for line in iter(reply.readline, b"")))
        self.wait_for_log(orchestrator, "tls.reloaded")

    def certificate_of(self, server, party):
        connection = self.connect(server, party)
        connection.connect()
        try:
            return connection.sock.getpeercert(True)
        finally:
            connection.close()

    def test_a_broken_new_file_keeps_the_old_one_and_warns(self):
        seeder = self.seeder()
        party = self.fleet.issue("agent/h1")
        certificate = self.fleet.home / "seeder-eu" / "cert.pem"
        good = certificate.read_bytes()
        certificate.write_bytes(good[:100])
        self.assertEqual(self.ask(seeder, "/healthz", party), (200, b"ok\n"))
        self.wait_for_log(seeder, "tls.reload_failed")
        certificate.write_bytes(good)
        self.assertEqual(self.ask(seeder, "/healthz", party), (200, b"ok\n"))
        self.wait_for_log(seeder, "tls.reloaded")

    def test_an_expired_revocation_list_lets_nobody_in_and_says_so(self):
        party = self.fleet.issue("agent/h1")
        expired = self.home / "old.crl"
        config = write(self.home / "crl.cnf", f"[ca]\ndefault_ca=own\n[own]\ndatabase={self.home}/crl.txt\n"
                                              f"default_md=sha256\n")
        write(self.home / "crl.txt", "")
        ended = subprocess.run(
            ["openssl", "ca", "-gencrl", "-config", config, "-cert", self.fleet.ca / "ca.pem", "-keyfile",
             self.fleet.ca / "ca.key", "-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200201000000Z",
             "-out", expired], capture_output=True, text=True, timeout=20)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        flags = [*self.fleet.flags("seeder/eu"), "--tls-crl", expired]
        seeder = Seeder(self, self.repo, *flags)
        self.wait_for_log(seeder, "tls.crl_expired")
        self.refused(seeder, self.fleet.flags_of(party))
        self.wait_for_log(seeder, "nobody is let in until --tls-crl is renewed")
        shutil.copy(self.fleet.ca / "ca.crl", expired)
        self.install("1.0", seeder.url, None, *self.fleet.flags_of(party))


AUTHORITY = "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n"


class OtherInfrastructure(TlsCase):
    def openssl(self, *args):
        ended = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, timeout=20)
        self.assertEqual(ended.returncode, 0, ended.stderr)

    def issue(self, name, issuer, extensions, chain=()):
        out = self.home / "pki"
        out.mkdir(exist_ok=True)
        key, request, certificate = out / f"{name}.key", out / f"{name}.csr", out / f"{name}.pem"
        self.openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", f"/CN={name}", "-out",
                     request)
        key.chmod(0o600)
        signer = (["-signkey", key] if issuer is None else
                  ["-CA", out / f"{issuer}.pem", "-CAkey", out / f"{issuer}.key", "-CAcreateserial"])
        self.openssl("x509", "-req", "-in", request, *signer, "-days", "3", "-extfile",
                     write(out / f"{name}.ext", extensions), "-out", certificate)
        for more in chain:
            certificate.write_bytes(certificate.read_bytes() + (out / f"{more}.pem").read_bytes())
        return ["--tls-cert", certificate, "--tls-key", key, "--tls-ca", out / "root.pem"]

    def test_certificates_made_with_openssl_work(self):
        self.issue("root", None, AUTHORITY)
        seeder = self.issue("seeder", "root", "subjectAltName=URI:slipway://seeder/eu,IP:127.0.0.1,DNS:*\n")
        agent = self.issue("agent", "root", "subjectAltName=URI:slipway://agent/h1,DNS:*\n")
        running = Seeder(self, self.repo, *seeder)
        self.install("1.0", running.url, None, *agent)
        self.assert_runs(self.source)

    def test_an_intermediate_authority_works_for_those_who_are_in_no_swarm(self):
        self.issue("root", None, AUTHORITY)
        self.issue("issuing", "root", AUTHORITY)
        seeder = self.issue("seeder", "root", "subjectAltName=URI:slipway://seeder/eu,IP:127.0.0.1,DNS:*\n")
        names = "subjectAltName=URI:slipway://operator/ann?role=viewer\nextendedKeyUsage=clientAuth\n"
        operator = self.issue("operator", "issuing", names, ["issuing"])
        running = Seeder(self, self.repo, *seeder)
        self.slipway("list", "--repo", running.url, "--trust", self.trust, *operator)
        agent = self.issue("agent", "issuing", "subjectAltName=URI:slipway://agent/h1,DNS:*\n", ["issuing"])
        self.assertIn("swarms take no chains", self.refused(running, agent))

    def test_a_server_only_certificate_does_not_come_in_as_an_agent(self):
        self.issue("root", None, AUTHORITY)
        seeder = self.issue("seeder", "root", "subjectAltName=URI:slipway://seeder/eu,IP:127.0.0.1,DNS:*\n")
        agent = self.issue("agent", "root", "subjectAltName=URI:slipway://agent/h1,DNS:*\nextendedKeyUsage=serverAuth\n")
        running = Seeder(self, self.repo, *seeder)
        self.listing_refused(running, agent)
        self.refused(running, agent)


class Flags(TlsCase):
    def test_what_is_missing_or_unsafe_is_said(self):
        party = self.fleet.issue("agent/h1")
        half = self.install("1.0", "https://127.0.0.1:1", None, "--tls-cert", party / "cert.pem", status=USAGE)
        self.assertIn("--tls-key", half.err)
        os.chmod(party / "key.pem", 0o644)
        open_key = self.install("1.0", "https://127.0.0.1:1", None, *self.fleet.flags_of(party), status=FAILED)
        self.assertIn("chmod 600", open_key.err)

    def test_beyond_loopback_certificates_are_enough(self):
        flags = self.fleet.flags("seeder/eu")
        Seeder(self, self.repo, *flags, listen="0.0.0.0:0")
        both = self.run_program("slipway-seeder", "run", "--repo", self.repo, "--open", *flags, status=USAGE)
        self.assertIn("--open", both.err)

    def test_strangers_who_say_nothing_do_not_keep_the_fleet_out(self):
        seeder = self.seeder()
        where = urllib.parse.urlparse(seeder.url)
        silent = [socket.create_connection((where.hostname, where.port), timeout=5) for _ in range(100)]
        for one in silent:
            self.addCleanup(one.close)
        self.wait_for_log(seeder, "too many connections whose TLS handshake is not done")
        # From another address of the loopback network the fleet comes in all the same.
        context = self.fleet.python_context(self.fleet.issue("agent/h1"))
        connection = http.client.HTTPSConnection(where.hostname, where.port, context=context, timeout=10,
                                                 source_address=("127.0.0.2", 0))
        self.addCleanup(connection.close)
        connection.request("GET", "/healthz")
        self.assertEqual(connection.getresponse().status, 200)


if __name__ == "__main__":
    main()
