#!/usr/bin/env python3
"""Swarms with certificates: members share packs, strangers get no byte, and certificates rotate.

The real programs, and strangers written here that speak TLS and BitTorrent by hand.
"""

import hashlib
import http.server
import os
import re
import signal
import socket
import ssl
import threading
import time
import urllib.parse

from harness import BIN, DONE, FAILED, Case, Process, main, noise, serve_http, write

HANDSHAKE = b"\x13BitTorrent protocol"


class Fleet:
    """A certificate authority and what it issued."""

    def __init__(self, test, name):
        self.test, self.home = test, test.home / name
        test.slipway("ca", "init", "--ca", self.home / "ca")
        self.ca, self.crl = self.home / "ca/ca.pem", self.home / "ca/ca.crl"

    def issue(self, identity, out=None):
        out = out or self.home / identity.replace("/", "-")
        self.test.slipway("ca", "issue", "--ca", self.home / "ca", identity, "--out", out, "--ip", "127.0.0.1")
        return out

    def flags(self, identity, crl=False):
        return self.flags_of(self.issue(identity), crl)

    def flags_of(self, party, crl=False):
        flags = ["--tls-cert", party / "cert.pem", "--tls-key", party / "key.pem", "--tls-ca", self.ca]
        return [*flags, *(["--tls-crl", self.crl] if crl else [])]

    def revoke(self, identity):
        self.test.slipway("ca", "revoke", "--ca", self.home / "ca", identity)


class SwarmSeeder(Process):
    def __init__(self, test, repo, *flags):
        super().__init__(
            test, [BIN / "slipway-seeder", "run", "--repo", repo, "--listen", "127.0.0.1:0", *flags]
        )
        found = self.line(r"listening (https?)=(\S+) bittorrent=127.0.0.1:(\d+)")
        self.url, self.port = f"{found[1]}://{found[2]}", int(found[3])

    def uploaded(self):
        """Payload bytes sent to peers, as told at the end."""
        self.signal(signal.SIGTERM)
        self.wait(10)
        return int(re.search(r'seeder.stopped uploaded_bytes="(\d+)"', self.errors())[1])

    def wait_for(self, event, timeout_s=10):
        deadline = time.monotonic() + timeout_s
        while event not in self.errors():
            if time.monotonic() > deadline:
                raise AssertionError(f"no {event}\n{self.errors()}")
            time.sleep(0.05)


class SslSwarm(Case):
    def setUp(self):
        super().setUp()
        self.init_repo()
        self.source = self.tree("1.0")
        self.publish("1.0", self.source)
        self.fleet = Fleet(self, "fleet")

    def info_hash(self, fleet):
        """Of the only pack in this fleet's swarm: the plain info dictionary with the CA in it."""
        metainfo = next(self.repo.glob("packs/*.torrent")).read_bytes()
        info = metainfo[len(b"d4:info") : metainfo.index(b"12:piece layers")]
        pem = fleet.ca.read_bytes()
        return hashlib.sha256(info[:-1] + b"8:ssl-cert%d:%se" % (len(pem), pem)).digest()[:20]

    def call(self, port, fleet, party):
        """Joins as `party`; the first bytes that come through TLS, and the other end's certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if party:
            context.load_cert_chain(party / "cert.pem", party / "key.pem")
        swarm = self.info_hash(fleet)
        with socket.create_connection(("127.0.0.1", port), 10) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=swarm.hex()) as tls:
                    tls.sendall(HANDSHAKE + b"\0\0\0\0\0\x10\0\0" + swarm + b"-XX0001-abcdefghijkl")
                    return tls.recv(1000), tls.getpeercert(binary_form=True)
            except OSError:
                return b"", None

    # Members -------------------------------------------------------------------------------------

    def test_hosts_of_the_fleet_install_over_the_swarm_and_from_each_other(self):
        seeder = SwarmSeeder(self, self.repo, *self.fleet.flags("seeder/eu", crl=True))
        first = self.fleet.flags("agent/first", crl=True)
        args = self.install_args("1.0", seeder.url, self.host("first"), *first, "--share", "30")
        sharing = Process(self, [BIN / "slipway-agent", *args])
        sharing.line(r'"event"|"release"')
        self.install("1.0", seeder.url, self.host("second"), *self.fleet.flags("agent/second", crl=True))
        self.assert_runs(self.source, self.host("first"))
        self.assert_runs(self.source, self.host("second"))
        pack = next(self.repo.glob("packs/*.torrent")).with_suffix("")
        self.assertGreaterEqual(seeder.uploaded(), pack.stat().st_size // 2)

    # Strangers -----------------------------------------------------------------------------------

    def test_strangers_get_no_byte(self):
        foreign = Fleet(self, "foreign")
        self.fleet.issue("agent/stolen")
        self.fleet.revoke("agent/stolen")
        seeder = SwarmSeeder(self, self.repo, *self.fleet.flags("seeder/eu", crl=True))
        strangers = {
            "plain": [],
            "foreign": foreign.flags("agent/foreign"),
            "revoked": self.fleet.flags_of(self.fleet.home / "agent-stolen"),
        }
        for name, flags in strangers.items():
            with self.subTest(name):
                # The repository's web server may help them out; the swarm does not.
                self.install("1.0", seeder.url, self.host(name), *flags, "--patience", "4", status=None)
        for party in (None, foreign.home / "agent-foreign", self.fleet.home / "agent-stolen"):
            with self.subTest(party):
                self.assertEqual(self.call(seeder.port, self.fleet, party)[0], b"")
        member = self.fleet.issue("agent/member")
        self.assertTrue(self.call(seeder.port, self.fleet, member)[0].startswith(HANDSHAKE))
        self.assertEqual(seeder.uploaded(), 0)

    def test_who_is_revoked_later_is_refused_without_a_restart(self):
        seeder = SwarmSeeder(self, self.repo, *self.fleet.flags("seeder/eu", crl=True))
        party = self.fleet.issue("agent/host")
        self.assertTrue(self.call(seeder.port, self.fleet, party)[0].startswith(HANDSHAKE))
        self.fleet.revoke("agent/host")
        seeder.wait_for("swarm.certificates_renewed")
        self.assertEqual(self.call(seeder.port, self.fleet, party)[0], b"")

    def test_a_tracker_that_hands_out_strangers(self):
        seeder = SwarmSeeder(self, self.repo, *self.fleet.flags("seeder/eu"))
        foreign = Fleet(self, "foreign")
        strangers = [Stranger(self), Stranger(self, foreign.issue("seeder/eu"))]
        tracker = MaliciousTracker(self, self.repo, [*(one.port for one in strangers), seeder.port])
        outcome = self.install("1.0", tracker.url, None, *self.fleet.flags("agent/host"))
        self.assert_runs(self.source)
        self.assertGreater(seeder.uploaded(), 0, str(outcome))
        for stranger in strangers:
            self.assertTrue(stranger.called, "the tracker's reply was not followed")
            self.assertEqual(stranger.heard, b"")

    # Rotation ------------------------------------------------------------------------------------

    def test_a_certificate_is_replaced_in_mid_transfer(self):
        write(self.source / "share/more", noise(8_000_000, 5))
        self.publish("1.1", self.source)
        party = self.fleet.issue("seeder/eu")
        seeder = SwarmSeeder(self, self.repo, *self.fleet.flags_of(party), "--upload-limit", "2000000")
        args = self.install_args("1.1", seeder.url, None, *self.fleet.flags("agent/host"))
        installing = Process(self, [BIN / "slipway-agent", *args])
        time.sleep(1)
        before = ssl.PEM_cert_to_DER_cert((party / "cert.pem").read_text())
        self.fleet.issue("seeder/eu", party)
        seeder.wait_for("swarm.certificates_renewed")
        self.assertIsNone(installing.process.poll(), "the transfer was over too early for this test")
        self.assertEqual(installing.wait(), DONE, installing.errors())
        self.assert_runs(self.source)
        packs = sum(p.with_suffix("").stat().st_size for p in self.repo.glob("packs/*.torrent"))
        self.assertLess(seeder.uploaded(), packs * 1.1)  # Nothing was sent twice.
        self.assertNotEqual(before, ssl.PEM_cert_to_DER_cert((party / "cert.pem").read_text()))

    def test_handshakes_show_the_new_certificate(self):
        party = self.fleet.issue("seeder/eu")
        seeder = SwarmSeeder(self, self.repo, *self.fleet.flags_of(party))
        member = self.fleet.issue("agent/member")
        shown = [self.call(seeder.port, self.fleet, member)[1]]
        self.fleet.issue("seeder/eu", party)
        seeder.wait_for("swarm.certificates_renewed")
        shown.append(self.call(seeder.port, self.fleet, member)[1])
        self.assertNotEqual(*shown)
        self.assertEqual(shown[1], ssl.PEM_cert_to_DER_cert((party / "cert.pem").read_text()))

    def test_authorities_are_replaced_with_both_swarms_until_the_old_one_is_drained(self):
        old, new = self.fleet, Fleet(self, "next")
        party = self.home / "seeder"
        party.mkdir()
        sources = {old: old.issue("seeder/eu"), new: new.issue("seeder/eu")}

        def give(*fleets):
            for name in ("cert.pem", "key.pem"):
                write(party / f".{name}", b"".join((sources[f] / name).read_bytes() for f in fleets), 0o600)
                os.rename(party / f".{name}", party / name)
            write(party / "ca.pem", b"".join(fleet.ca.read_bytes() for fleet in fleets))

        def joins(seeder, fleet):
            reply = self.call(seeder.port, fleet, fleet.home / "agent-host")[0]
            return reply.startswith(HANDSHAKE)

        for fleet in (old, new):
            fleet.issue("agent/host")
        give(old)
        seeder = SwarmSeeder(self, self.repo, "--tls-cert", party / "cert.pem",
                             "--tls-key", party / "key.pem", "--tls-ca", party / "ca.pem")
        self.assertEqual([joins(seeder, old), joins(seeder, new)], [True, False])
        for fleets, expected in (((new, old), [True, True]), ((new,), [False, True])):
            give(*fleets)
            deadline = time.monotonic() + 10
            while [joins(seeder, old), joins(seeder, new)] != expected:
                self.assertLess(time.monotonic(), deadline, seeder.errors())
                time.sleep(0.2)
        flags = new.flags_of(new.home / "agent-host")
        self.install("1.0", seeder.url, None, *flags)
        self.assert_runs(self.source)
        self.assertGreater(seeder.uploaded(), 0)

    # Start ---------------------------------------------------------------------------------------

    def test_certificates_that_no_peer_would_take_are_refused_at_the_start(self):
        foreign = Fleet(self, "foreign")
        party = self.fleet.issue("seeder/eu")
        for expected, certificate, authority in (
            ("no subjectAltName DNS:*", self.fleet.issue("publisher/ci"), self.fleet.ca),
            ("not signed by any of the authorities", party, foreign.ca),
        ):
            failed = self.run_program(
                "slipway-agent", *self.install_args("1.0", "http://127.0.0.1:9"),
                "--tls-cert", certificate / "cert.pem", "--tls-key", certificate / "key.pem",
                "--tls-ca", authority, status=FAILED,
            )
            self.assertIn(expected, failed.err)


class Stranger:
    """Listens where a peer would. With a party, it speaks TLS with that party's certificate."""

    def __init__(self, test, party=None):
        self.called, self.heard = False, b""
        self.context = None
        if party:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(party / "cert.pem", party / "key.pem")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        thread = threading.Thread(target=self.serve, daemon=True)
        thread.start()
        test.addCleanup(thread.join)
        test.addCleanup(self.listener.shutdown, socket.SHUT_RDWR)

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.called = True
                connection.settimeout(3)
                try:
                    if self.context:
                        with self.context.wrap_socket(connection, server_side=True) as tls:
                            self.heard += tls.recv(1000)
                    else:
                        hello = connection.recv(1000)
                        # A TLS hello tells the swarm's address, which is no secret to its tracker.
                        self.heard += b"" if hello[:1] in (b"\x16", b"") else hello
                except OSError:
                    pass


class MaliciousTracker:
    """A mirror of the repository whose tracker names strangers first."""

    def __init__(self, test, repo, ports):
        peers = b"".join(socket.inet_aton("127.0.0.1") + port.to_bytes(2, "big") for port in ports)
        reply = b"d8:intervali2e12:min intervali1e5:peers%d:%se" % (len(peers), peers)
        info = b'{"version":1,"region":"eu","bittorrent":{"ip":"127.0.0.1","port":%d}}' % ports[0]

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = urllib.parse.urlparse(self.path).path.lstrip("/")
                body = {"announce": reply, "v1/seeder": info}.get(path)
                # The packs themselves are to be had from peers only.
                if body is None and not re.fullmatch(r"packs/[0-9a-f]{64}", path):
                    file = repo / path
                    body = file.read_bytes() if file.is_file() else None
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        _, self.url = serve_http(test, Handler)


if __name__ == "__main__":
    main()
