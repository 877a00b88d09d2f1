"""Gates and notifications against what they talk to: a real Prometheus, TLS, receivers that are slow, dead or rude."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import unittest
import urllib.request

from harness import BIN, USAGE, Case, Process, main, serve_http, write

SECRET = "a secret of the receivers"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, seconds=20):
    """Waits until `what()` is true."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.05)


def signature(headers, body, secret=SECRET):
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), text, hashlib.sha256)).decode()


class Hook:
    """A receiver of webhooks; `answer(number)` gives (status, body, seconds to wait first)."""

    def __init__(self, test, answer=lambda number: (200, b"", 0)):
        self.got, self.lock = [], threading.Lock()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with hook.lock:
                    hook.got.append((dict(self.headers), body, time.time()))
                    number = len(hook.got)
                status, reply, wait = answer(number)
                time.sleep(wait)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(reply)))
                    if status == 302:
                        self.send_header("Location", "/elsewhere")
                    self.end_headers()
                    self.wfile.write(reply)

            def log_message(self, *_):
                pass

        _, self.url = serve_http(test, Handler)

    def ids(self):
        return [headers["webhook-id"] for headers, _, _ in self.got]


class Gates(Case):
    def setUp(self):
        super().setUp()
        self.secret = write(self.home / "secret", SECRET + "\n", 0o600)

    def gate(self, hook, timeout_ms=2_000, body='{"deployment":"d1"}'):
        return self.run_program("gate_probe", "gate", hook.url + "/gate", self.secret, "id-1", body, timeout_ms).out

    def test_a_gate_is_asked_with_a_signature_and_its_verdict_counts(self):
        hook = Hook(self, lambda number: (200, b'{"verdict":"pass","reason":"all is well"}', 0))
        self.assertEqual(self.gate(hook), "pass all is well\n")
        headers, body, at = hook.got[0]
        self.assertEqual(body, b'{"deployment":"d1"}')
        self.assertEqual(headers["webhook-signature"], signature(headers, body))
        self.assertLess(abs(int(headers["webhook-timestamp"]) - at), 5)
        refusing = Hook(self, lambda number: (200, b'{"verdict":"fail","reason":"no"}', 0))
        self.assertEqual(self.gate(refusing), "fail no\n")
        self.assertEqual(len(refusing.got), 1)

    def test_a_gate_that_fails_for_a_moment_is_asked_again_with_the_same_id(self):
        hook = Hook(self, lambda number: (503, b"", 0) if number < 3 else (200, b'{"verdict":"pass"}', 0))
        self.assertTrue(self.gate(hook).startswith("pass"))
        self.assertEqual(hook.ids(), ["id-1"] * 3)

    def test_what_is_no_answer_holds(self):
        for answer in ((500, b'{"verdict":"pass"}', 0), (302, b'{"verdict":"pass"}', 0), (200, b"pass", 0),
                       (200, b'{"verdict":"pass","reason":"' + b"x" * 100_000 + b'"}', 0),
                       (200, b'{"verdict":"pass"}', 1)):
            hook = Hook(self, lambda number, answer=answer: answer)
            self.assertTrue(self.gate(hook, timeout_ms=400).startswith("hold "), answer)
        dead = type("Dead", (), {"url": f"http://127.0.0.1:{free_port()}"})
        self.assertTrue(self.gate(dead).startswith("hold "))

    def test_urls_that_could_reach_what_was_not_meant_are_refused(self):
        for url in ("file:///etc/passwd", "http://gate.example/", "http://169.254.169.254/"):
            self.run_program("gate_probe", "gate", url, self.secret, "id", "{}", 100, status=1)


class Notifications(Case):
    def setUp(self):
        super().setUp()
        self.secret = write(self.home / "secret", SECRET + "\n", 0o600)

    def notify(self, count, seconds, **hooks):
        database = f"sqlite:{self.home}/db"
        return Process(self, [BIN / "gate_probe", "notify", database, self.secret, count, seconds,
                              *(f"{name}={hook.url}/" for name, hook in hooks.items())])

    def test_each_receiver_gets_all_in_order_and_a_slow_one_delays_no_other(self):
        fast, slow = Hook(self), Hook(self, lambda number: (200, b"", 0.9))
        sender = self.notify(20, 60, fast=fast, slow=slow)
        sender.line("sending")
        started = time.monotonic()
        until(lambda: len(fast.got) >= 20)
        self.assertLess(time.monotonic() - started, 5)
        self.assertLess(len(slow.got), 10)
        self.assertEqual(fast.ids(), [f"event-{n}" for n in range(1, 21)])
        for headers, body, _ in fast.got:
            self.assertEqual(headers["webhook-signature"], signature(headers, body))

    def test_a_failing_receiver_gets_the_same_message_until_it_takes_it(self):
        hook = Hook(self, lambda number: (500 if number in (2, 3) else 200, b"", 0))
        self.notify(3, 60, one=hook).line("sending")
        until(lambda: len(hook.got) >= 5)
        self.assertEqual(hook.ids(), ["event-1", "event-2", "event-2", "event-2", "event-3"])

    def test_what_was_not_sent_when_the_process_was_killed_is_sent_by_the_next(self):
        hook = Hook(self, lambda number: (200, b"", 0.1))
        sender = self.notify(20, 60, one=hook)
        until(lambda: len(hook.got) >= 5)
        sender.signal(9)
        sender.wait()
        before = hook.ids()
        self.assertLess(len(before), 20)
        self.notify(0, 60, one=hook).line("sending")
        until(lambda: hook.ids()[-1] == "event-20")
        after = hook.ids()[len(before):]
        # At least once: the one under way when the process was killed comes again.
        self.assertEqual(sorted(set(before + after), key=lambda id: int(id[6:])), [f"event-{n}" for n in range(1, 21)])
        self.assertLessEqual(len(before) + len(after), 21)
        self.assertEqual(after, sorted(after, key=lambda id: int(id[6:])))


class RealPrometheus(Case):
    """Scrapes this test's own page each second."""

    def setUp(self):
        super().setUp()
        self.assertTrue(shutil.which("prometheus"), "packaging/deps test installs prometheus")
        self.page = "errors 3\nlatency{host=\"a\"} 0.5\nlatency{host=\"b\"} 2\nodd NaN\n"
        test = self

        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if test.page else 500)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(test.page.encode())

            def log_message(self, *_):
                pass

        _, self.target = serve_http(self, Page)
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                  "scrape_configs": [{"job_name": "page", "static_configs": [
                      {"targets": [self.target.removeprefix("http://")]}]}]}
        write(self.home / "prometheus.yml", json.dumps(config))  # JSON is YAML.
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = Process(self, ["prometheus", f"--config.file={self.home}/prometheus.yml",
                                      f"--storage.tsdb.path={self.home}/data", f"--web.listen-address=127.0.0.1:{port}"])
        until(lambda: self.ask("errors", 10).startswith("pass"), 30)

    def ask(self, query, limit, *more, url=None):
        return self.run_program("gate_probe", "prometheus", url or self.url, query, limit, *more).out

    def test_limits_are_judged_on_what_prometheus_says(self):
        self.assertEqual(self.ask("errors", 10), "pass 1 1 samples from 3 to 3\n")
        self.assertEqual(self.ask("errors", 2), "fail 1 3 > max 2\n")
        self.assertTrue(self.ask("max by (host) (latency)", 2).startswith("pass 2 "))
        self.assertEqual(self.ask('latency{host=~"a|b"}', 1), "fail 2 2 > max 1\n")
        self.assertTrue(self.ask("scalar(errors) + 1", 4).startswith("pass 1 "))

    def test_missing_data_holds(self):
        for query in ("no_such_metric", "odd", "errors / 0", "errors[5m]", "sum(", "0/0", "latency and odd"):
            self.assertTrue(self.ask(query, 1e9).startswith("hold 0 no data"), query)
        self.page = ""  # The target is down: its series end, and must not be believed for long.
        until(lambda: self.ask("errors", 10).startswith("hold 0 no data"), 20)
        self.process.end()
        self.assertTrue(self.ask("errors", 10).startswith("hold 0 no data"))

    def test_tls_with_a_bearer_token_from_a_file(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.home / "key.pem", "-out", self.home / "cert.pem", "-days", "2", "-subj", "/CN=x",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True, timeout=20)
        upstream, seen = self.url, []

        class Front(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                seen.append(self.headers.get("Authorization"))
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, reply = 401, b"who is it?"
                if seen[-1] == "Bearer the-token":
                    request = urllib.request.Request(upstream + self.path, body, dict(self.headers))
                    with urllib.request.urlopen(request, timeout=5) as answer:
                        status, reply = answer.status, answer.read()
                self.send_response(status)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_):
                pass

        server, url = serve_http(self, Front)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.home / "cert.pem", self.home / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = url.replace("http:", "https:")
        token = write(self.home / "token", "the-token\n", 0o600)
        wrong = write(self.home / "wrong", "another\n", 0o600)
        self.assertTrue(self.ask("errors", 10, token, self.home / "cert.pem", url=url).startswith("pass 1 "))
        self.assertTrue(self.ask("errors", 10, wrong, self.home / "cert.pem", url=url).startswith("hold 0 "))
        before = len(seen)
        self.assertTrue(self.ask("errors", 10, token, "/etc/ssl/certs/ca-certificates.crt", url=url).startswith("hold 0 "))
        self.assertEqual(len(seen), before, "the token went to a server that was not checked")
        token.chmod(0o644)
        self.assertTrue(self.ask("errors", 10, token, self.home / "cert.pem", url=url).startswith("hold 0 "))


if __name__ == "__main__":
    main()
