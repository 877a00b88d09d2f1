#!/usr/bin/env python3
"""slipway-agent enroll: from a one-time token to a certificate that the fleet takes."""

import json
import os
import signal
import stat
import threading

from harness import BIN, DONE, FAILED, NOT_FOUND, USAGE, Case, Fleet, Process, Seeder, main, serve_http, write
import http.server


class Enroll(Case):
    def setUp(self):
        super().setUp()
        self.fleet = Fleet(self)
        self.server = Process(self, [BIN / "slipway", "ca", "serve", "--ca", self.fleet.ca, "--listen", "127.0.0.1:0"])
        self.url = "http://" + self.server.line(r"listening http=(\S+)")[1]

    def token(self, identity, *flags):
        return self.slipway("ca", "token", "--ca", self.fleet.ca, identity, *flags, "--json").last_json()["token"]

    def enroll(self, token, out, **options):
        file = write(self.home / "token", token + "\n", 0o600)
        return self.agent("enroll", "--orchestrator", self.url, "--token-file", file, "--out", out, **options)

    def test_a_host_enrolls_and_installs_with_its_certificate(self):
        out = self.home / "tls"
        said = self.enroll(self.token("agent/web-1"), out)
        self.assertIn("agent/web-1", said.out)
        self.assertEqual(stat.S_IMODE((out / "key.pem").stat().st_mode), 0o600)
        self.init_repo()
        tree = self.tree("1.0")
        self.publish("1.0", tree)
        seeder = Seeder(self, self.repo, *self.fleet.flags("seeder/eu"))
        flags = ["--tls-cert", out / "cert.pem", "--tls-key", out / "key.pem", "--tls-ca", out / "ca.pem"]
        self.agent(*self.install_args("1.0", seeder.url), *flags)
        self.assert_runs(tree)
        self.assertIn("agent/web-1", self.slipway("ca", "list", "--ca", self.fleet.ca).out)

    def test_the_orchestrator_answers_too_where_it_has_the_authority(self):
        config = write(
            self.home / "orchestrator.toml",
            f'[enroll]\nlisten = "127.0.0.1:0"\nauthority = "{self.fleet.ca}"\ndays = 30\n',
        )
        orchestrator = Process(
            self,
            [BIN / "slipway-orchestrator", "run", "--config", config, "--listen", "127.0.0.1:0"]
            + ["--database", f"sqlite:{self.home}/db", "--state", self.home / "state"]
            + ["--repo", self.home, *self.fleet.flags("orchestrator/main")],
        )
        self.url = "http://" + orchestrator.line(r"listening https=\S+ enroll=(\S+)")[1]
        said = self.enroll(self.token("agent/web-1"), self.home / "tls")
        self.assertIn("agent/web-1", said.out)
        refused = self.enroll("0" * 16 + "." + "0" * 64, self.home / "other", status=FAILED)
        self.assertIn("not known, or has expired", refused.err)

    def test_an_orchestrator_without_the_authority_does_not_start(self):
        config = write(
            self.home / "orchestrator.toml", f'[enroll]\nlisten = "127.0.0.1:0"\nauthority = "{self.home}/none"\n'
        )
        refused = self.run_program(
            BIN / "slipway-orchestrator", "run", "--config", config, "--listen", "127.0.0.1:0",
            "--database", f"sqlite:{self.home}/db", "--state", self.home / "state",
            *self.fleet.flags("orchestrator/main"), status=NOT_FOUND,
        )
        self.assertIn("none", refused.err)

    def test_a_token_works_once(self):
        token = self.token("agent/web-1")
        self.enroll(token, self.home / "tls")
        self.enroll(token, self.home / "tls")  # The same host may ask again: an answer can be lost.
        refused = self.enroll(token, self.home / "thief", status=FAILED)
        self.assertIn("was used with another key", refused.err)
        self.assertFalse((self.home / "thief/cert.pem").exists())
        self.assertNotIn(token.split(".")[1], refused.err + refused.out + self.server.errors())

    def test_what_is_wrong_is_said(self):
        self.assertIn("is no token", self.enroll("abc", self.home / "tls", status=USAGE).err)
        unknown = self.enroll("0" * 16 + "." + "0" * 64, self.home / "tls", status=FAILED)
        self.assertIn("not known, or has expired", unknown.err)
        token = self.token("agent/web-1")
        guessed = self.enroll(token[:17] + "0" * 64, self.home / "tls", status=FAILED)
        self.assertIn("not made with this token", guessed.err)
        self.enroll(token, self.home / "tls")
        self.assertIn("one of --token", self.agent("enroll", "--orchestrator", self.url, status=USAGE).err)

    def test_somebody_else_who_answers_is_not_believed(self):
        stranger = Fleet(self, "stranger")
        answers = Process(self, [BIN / "slipway", "ca", "serve", "--ca", stranger.ca, "--listen", "127.0.0.1:0"])
        other = "http://" + answers.line(r"listening http=(\S+)")[1]
        token = self.token("agent/web-1")
        # The stranger knows the token's name, which travels, but not its secret.
        self.slipway("ca", "token", "--ca", stranger.ca, "agent/web-1")
        tokens = json.loads((stranger.ca / "tokens.json").read_text())
        tokens["tokens"][0]["id"] = token.split(".")[0]
        (stranger.ca / "tokens.json").write_text(json.dumps(tokens))
        self.url, right = other, self.url
        self.enroll(token, self.home / "tls", status=FAILED)

        class Replays(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.dumps({"version": 1, "certificate": "c", "authority": "a", "mac": "0" * 64}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        _, self.url = serve_http(self, Replays)
        refused = self.enroll(token, self.home / "tls", status=FAILED)
        self.assertIn("not the authority that gave it out", refused.err)
        self.url = right
        self.enroll(token, self.home / "tls")

    def test_many_hosts_at_once(self):
        tokens = [self.token(f"agent/web-{n}") for n in range(8)]
        failed = []

        def one(number):
            said = self.agent("enroll", "--orchestrator", self.url, "--out", self.home / f"tls-{number}", status=None,
                              env={**os.environ, "SLIPWAY_ENROLL_TOKEN": tokens[number]})
            if said.status != DONE:
                failed.append(str(said))

        threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        self.assertEqual(self.slipway("ca", "list", "--ca", self.fleet.ca).out.count("agent/web-"), 8)
        self.server.signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(), DONE)


if __name__ == "__main__":
    main()
