#!/usr/bin/env python3
"""Probes of a daemon against a service that answers over HTTPS under a certificate of the fleet's own authority."""

import http.server
import ssl
import time

from daemon_case import PATIENCE_S, DaemonCase
from harness import Fleet, main, serve_http


class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, value = self.server.answers
        self.server.asked.append((self.path, time.monotonic()))
        body = f"up {value}\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Probes(DaemonCase):
    def setUp(self):
        self.authority = None
        super().setUp()
        fleet = Fleet(self)
        party = fleet.issue("seeder/r1")
        self.server, self.url = serve_http(self, Service)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(party / "cert.pem", party / "key.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.answers, self.server.asked = (200, 1), []
        self.authority = fleet.ca / "ca.pem"
        self.url = self.url.replace("http:", "https:")

    def write_config(self, more="", authority=True):
        port = self.url.rsplit(":", 1)[1]
        text = self.config_text(
            f"""
[[services.web.run.probes]]
type = "http"
url = "{self.url}/healthz"
interval = "200ms"
successes = 3
failures = 2
[[services.web.run.probes]]
type = "metric"
url = "{self.url}/metrics"
metric = "up"
min = "1"
interval = "100ms"
failures = 2
[[services.web.run.probes]]
type = "tcp"
address = "127.0.0.1:{port}"
{more}
"""
        )
        given = f'[services.web]\nprobe_authority = "{self.authority}"\n' if authority else ""
        self.config.write_text(text.replace("[services.web.run]\n", given + "[services.web.run]\n"))

    def asked(self, path):
        return [at for asked, at in self.server.asked if asked == path]

    def test_successes_in_a_row_at_their_interval(self):
        self.write_config()
        self.want("1.0")
        self.wait_healthy(self.daemon(), "1.0")
        times = self.asked("/healthz")
        self.assertGreaterEqual(len(times), 3)
        self.assertGreaterEqual(times[2] - times[0], 0.3)  # Two intervals; the first may have been late.
        self.assertTrue(self.asked("/metrics"))

    def test_a_status_or_a_metric_that_is_wrong_takes_the_release_back(self):
        self.write_config()
        self.want("1.0")
        daemon = self.daemon()
        self.wait_healthy(daemon, "1.0")
        for version, answers, why in (("1.1", (500, 1), "status 500"), ("1.2", (200, 0), "below 1")):
            self.want(version, stage=[version])
            deadline = time.monotonic() + PATIENCE_S
            self.server.answers = answers
            while not (found := [q for q in self.status()["quarantine"] if q["artifact"] == f"web@{version}"]):
                self.assertLess(time.monotonic(), deadline, self.status())
                time.sleep(0.02)
            self.server.answers = (200, 1)
            self.assertIn(why, found[0]["why"])
            self.wait_for(daemon, step=None, epoch=self.epoch)

    def test_an_authority_that_is_not_believed_is_named(self):
        self.write_config(authority=False)
        self.want("1.0")
        status = self.wait_for(self.daemon(), state="failed")
        self.assertRegex(status["last_error"], f"{self.url}/(healthz|metrics): ")  # Two probes ask.
        self.assertIn("certificate", status["last_error"])
        self.assertEqual(self.server.asked, [], "not a byte was said to it")

    def test_an_authority_that_cannot_be_read_is_named(self):
        self.authority.unlink()
        self.write_config()
        self.want("1.0")
        status = self.wait_for(self.daemon(), state="failed")
        self.assertIn(f"probe_authority {self.authority}", status["last_error"])


if __name__ == "__main__":
    main()
