"""What the integration tests share: temporary directories, the real programs, trees to publish.

The directory of the programs comes from SLIPWAY_BIN. Every process is started here, has a deadline,
and is ended by its own id.
"""

import contextlib
import functools
import http.server
import json
import os
import random
import re
import selectors
import shutil
import signal
import ssl
import stat
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

BIN = Path(os.environ.get("SLIPWAY_BIN", "build/release/bin")).resolve()
LONG = bool(os.environ.get("SLIPWAY_TEST_LONG"))
TIMEOUT_S = 60

DONE, FAILED, USAGE, VERIFICATION_FAILED, NOT_FOUND = range(5)


class Outcome:
    """How a program ended."""

    def __init__(self, args, status, out, err, seconds):
        self.args, self.status, self.out, self.err, self.seconds = args, status, out, err, seconds

    def __str__(self):
        return f"{' '.join(map(str, self.args))}\nstatus {self.status}\n{self.out}\n{self.err}"

    def last_json(self):
        return json.loads(self.out.strip().splitlines()[-1])


def write(path, content, mode=0o644):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def noise(size, seed):
    return random.Random(seed).randbytes(size)


def snapshot(tree):
    """What a tree is, as installed: path -> (kind, mode without write bits, content)."""
    found = {}
    tree = os.fsencode(tree)
    for directory, names, files in os.walk(tree):
        for name in names + files:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            key = os.path.relpath(path, tree)
            if stat.S_ISLNK(info.st_mode):
                found[key] = ("symlink", os.readlink(path))
            elif stat.S_ISDIR(info.st_mode):
                found[key] = ("directory", info.st_mode & 0o7555)
            else:
                with open(path, "rb") as file:
                    found[key] = ("file", info.st_mode & 0o7555, file.read())
    return found


def remove_tree(path):
    for directory, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            os.chmod(directory, 0o700)
    shutil.rmtree(path, ignore_errors=True)


class Process:
    """A program in the background; ended when its test is over."""

    def __init__(self, test, args, **options):
        self.args = args
        self.log = open(test.home / f"log.{test.next_number()}", "w+b")
        self.process = subprocess.Popen(
            list(map(str, args)), stdout=subprocess.PIPE, stderr=self.log, **options
        )
        test.addCleanup(self.end)

    def line(self, pattern, timeout_s=20):
        """Waits for a line of standard output that matches."""
        deadline = time.monotonic() + timeout_s
        seen = ""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while selector.select(max(0, deadline - time.monotonic())):
                line = self.process.stdout.readline().decode(errors="replace")
                seen += line
                if found := re.search(pattern, line):
                    return found
                if not line:
                    break
        raise AssertionError(f"{self.args}: no line {pattern}\n{seen}\n{self.errors()}")

    def errors(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def wait(self, timeout_s=TIMEOUT_S):
        status = self.process.wait(timeout_s)
        return status

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.log.close()


class Seeder(Process):
    def __init__(self, test, repo, *flags, listen="127.0.0.1:0"):
        super().__init__(
            test, [BIN / "slipway-seeder", "run", "--repo", repo, "--listen", listen, *flags]
        )
        found = self.line(r"listening (https?)=(\S+) bittorrent=(\S+)")
        self.url = f"{found[1]}://{found[2]}"


class Fleet:
    """A certificate authority and the parties that it issued certificates to."""

    def __init__(self, test, name="fleet", *flags):
        self.test, self.home = test, test.home / name
        self.ca = self.home / "ca"
        test.slipway("ca", "init", "--ca", self.ca, *flags)

    def issue(self, identity, *flags, name=None):
        """The directory with cert.pem, key.pem and ca.pem of the party."""
        out = self.home / (name or identity.replace("/", "-").split("?")[0])
        self.test.slipway("ca", "issue", "--ca", self.ca, identity, "--out", out, "--ip", "127.0.0.1", *flags)
        return out

    def flags(self, identity, *flags, crl=False, name=None):
        out = self.issue(identity, *flags, name=name)
        return self.flags_of(out, crl)

    def flags_of(self, out, crl=False):
        flags = ["--tls-cert", out / "cert.pem", "--tls-key", out / "key.pem", "--tls-ca", self.ca / "ca.pem"]
        return [*flags, *(["--tls-crl", self.ca / "ca.crl"] if crl else [])]

    def revoke(self, what):
        self.test.slipway("ca", "revoke", "--ca", self.ca, what)

    def python_context(self, out=None):
        """For a client written in Python: `out` is its party, or nobody."""
        context = ssl.create_default_context(cafile=str(self.ca / "ca.pem"))
        if out:
            context.load_cert_chain(out / "cert.pem", out / "key.pem")
        return context


def serve_http(test, handler):
    """A server that answers by `handler` until the test ends, and its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for last in (thread.join, server.server_close, server.shutdown):
        test.addCleanup(last)
    return server, f"http://127.0.0.1:{server.server_address[1]}"


class FileServer:
    """A plain web server over a directory. `change(path, body)` may alter what is served; with
    `break_after`, a body is cut off after so many bytes."""

    def __init__(self, test, directory, change=None):
        handler = functools.partial(_Handler, str(directory), change)
        self.server, self.url = serve_http(test, handler)
        self.requests = self.server.requests = []


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, directory, change, *args):
        self.directory, self.change = directory, change
        super().__init__(*args)

    def do_GET(self):
        path = self.path.split("?")[0].lstrip("/")
        self.server.requests.append(path)
        file = Path(self.directory) / path
        body = file.read_bytes() if file.is_file() and ".." not in path else None
        if self.change:
            body = self.change(path, body)
        if body is None:
            self.reply(404, b"not here\n")
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            self.reply(200, body)
            return
        first = int(asked[1])
        last = min(int(asked[2]) if asked[2] else len(body) - 1, len(body) - 1)
        self.reply(206, body[first : last + 1], f"bytes {first}-{last}/{len(body)}")

    def reply(self, status, body, content_range=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Case(unittest.TestCase):
    """A test with its own directory, repository and hosts."""

    def setUp(self):
        self.home = Path(tempfile.mkdtemp(prefix="slipway-it-"))
        self.addCleanup(remove_tree, self.home)
        self.repo = self.home / "repo"
        self.numbers = 0

    def next_number(self):
        self.numbers += 1
        return self.numbers

    # Programs ------------------------------------------------------------------------------------

    def run_program(self, name, *args, status=DONE, timeout_s=TIMEOUT_S, before=(), **options):
        command = [*map(str, before), str(BIN / name), *map(str, args)]
        started = time.monotonic()
        ended = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout_s, **options
        )
        outcome = Outcome(
            command,
            ended.returncode,
            ended.stdout.decode(errors="replace"),
            ended.stderr.decode(errors="replace"),
            time.monotonic() - started,
        )
        if status is not None:
            self.assertEqual(outcome.status, status, str(outcome))
        return outcome

    def slipway(self, *args, program="slipway", **options):
        return self.run_program(program, *args, **options)

    def agent(self, *args, **options):
        return self.run_program("slipway-agent", *args, **options)

    # Repositories --------------------------------------------------------------------------------

    def init_repo(self):
        self.slipway("repo", "init", "--repo", self.repo)

    def publish(self, version, tree, *flags, name="web", **options):
        return self.slipway("publish", "--repo", self.repo, f"{name}@{version}", tree, *flags, **options)

    @property
    def trust(self):
        roots = sorted((self.repo / "metadata").glob("*root.json"))
        return roots[0]

    def tree(self, version, files=None):
        """A tree of some directories, links and files, much of it the same in each version."""
        tree = self.home / f"tree-{version}"
        for i in range(20):
            write(tree / f"lib/module{i}.txt", noise(20_000, i).hex())
        write(tree / "bin/run", f"#!/bin/sh\necho version {version}\n", 0o755)
        write(tree / "share/data", noise(3_000_000, 99) + noise(100_000, f"data {version}"))
        write(tree / "share/new", f"only in {version}")
        (tree / "empty").mkdir(exist_ok=True)
        (tree / "empty").chmod(0o700)
        (tree / "share/latest").unlink(missing_ok=True)
        (tree / "share/latest").symlink_to("new")
        (tree / "bin/run-too").unlink(missing_ok=True)
        os.link(tree / "bin/run", tree / "bin/run-too")
        write(os.fsdecode(os.fsencode(tree) + b"/name \xff\xfe\n"), "bytes")
        for path, content in (files or {}).items():
            write(tree / path, content)
        return tree

    # Hosts ---------------------------------------------------------------------------------------

    def host(self, name="host"):
        return self.home / name

    def install_args(self, version, seeders, root=None, *flags, service="web", name="web"):
        seeders = [seeders] if isinstance(seeders, (str, Path)) else seeders
        args = ["install", f"{name}@{version}", "--service", service, "--root", root or self.host()]
        args += ["--trust", self.trust, "--json"]
        for seeder in seeders:
            args += ["--seeder", seeder]
        return [*args, *flags]

    def install(self, version, seeders, root=None, *flags, **options):
        program = {
            k: options.pop(k) for k in ("status", "timeout_s", "before", "env") if k in options
        }
        return self.agent(*self.install_args(version, seeders, root, *flags, **options), **program)

    def current(self, root=None, service="web"):
        return (root or self.host()) / "services" / service / "current"

    def assert_runs(self, tree, root=None, service="web"):
        self.assertEqual(snapshot(self.current(root, service)), snapshot(tree))

    def host_state(self, root=None, service="web"):
        """What must not change when an install is refused."""
        directory = (root or self.host()) / "services" / service
        links = {
            name: os.readlink(directory / name)
            for name in ("current", "previous")
            if (directory / name).is_symlink()
        }
        releases = directory / "releases"
        names = sorted(os.listdir(releases)) if releases.exists() else []
        return links, names

    def assert_tidy(self, root=None, service="web"):
        """Nothing of a killed run is left."""
        directory = (root or self.host()) / "services" / service
        self.assertEqual(os.listdir(directory / "staging"), [])
        self.assertEqual([n for n in os.listdir(directory) if n.endswith(".tmp")], [])
        self.assertEqual(
            sorted(os.listdir(directory / "records")), sorted(os.listdir(directory / "releases"))
        )


def main():
    unittest.main(verbosity=2)
