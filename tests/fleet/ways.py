"""The ways to bring one file to all hosts. Each has `source`, the programs that hold it, and makes a
program for each host; `finished(program, line)` tells from what a program prints that its host is
done, and what it received."""

import functools
import http.server
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from programs import Program


class Slipway:
    """slipway-seeder and an agent on each host: real programs, a signed repository."""

    name = "slipway"

    def __init__(self, fleet):
        self.fleet = fleet
        self.bin = fleet.options.bin
        self.repo = fleet.work / "repo"
        tree = fleet.work / "tree"
        tree.mkdir()
        os.link(fleet.file, tree / "blob")
        self.run("repo", "init", "--repo", self.repo)
        self.run("publish", "--repo", self.repo, "web@1", tree)
        packs = [p for p in (self.repo / "packs").iterdir() if p.suffix == ""]
        self.bytes = sum(p.stat().st_size for p in packs)
        self.seeders = []

    def run(self, *args):
        subprocess.run([self.bin / "slipway", *map(str, args)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def start_source(self, host):
        seeder = Program(host, [self.bin / "slipway-seeder", "run", "--repo", self.repo, "--listen",
                                f"{host.ip}:7070", "--open", *self.fleet.options.seeder_flag],
                         self.fleet.work / "seeder.log", held=False)
        seeder.wait_line("listening")
        self.seeders.append(seeder)
        self.url = f"http://{host.ip}:7070"
        return [seeder]

    def start_host(self, host):
        root = self.fleet.work / host.namespace
        trust = next((self.repo / "metadata").glob("*root.json"))
        return Program(host, [self.bin / "slipway-agent", "fetch", "web@1", "--service", "web", "--root", root,
                              "--trust", trust, "--json", "--quiet", "--seeder", self.url, "--listen", f"{host.ip}:6881",
                              "--share", "3600", "--patience", "60", *self.fleet.options.agent_flag],
                       self.fleet.work / f"{host.namespace}.log")

    @staticmethod
    def finished(_, line):
        if '"event":"fetched"' not in line:
            return None
        return json.loads(line)["fetched_bytes"]


class _Tracker(http.server.BaseHTTPRequestHandler):
    """BEP 3 and 23, fifty random peers: what public trackers do."""

    def __init__(self, peers, *args):
        self.peers = peers
        super().__init__(*args)

    def do_GET(self):
        query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query, encoding="latin-1").items()}
        me = (self.client_address[0], int(query["port"]))
        self.peers[me] = None
        others = [p for p in list(self.peers) if p != me]
        packed = b"".join(socket.inet_aton(ip) + struct.pack(">H", port)
                          for ip, port in random.sample(others, min(50, len(others))))
        body = b"d8:intervali5e12:min intervali1e5:peers%d:%se" % (len(packed), packed)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve_tracker(port):
    handler = functools.partial(_Tracker, {})
    server = http.server.ThreadingHTTPServer(("0.0.0.0", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


class _Torrent:
    def __init__(self, fleet):
        self.fleet = fleet
        self.bytes = fleet.file.stat().st_size
        self.torrent = fleet.work / "blob.torrent"
        self.done = fleet.work / "done.sh"
        # The program's standard output is the harness's pipe, so the script may just print.
        self.done.write_text('#!/bin/sh\necho finished > "/proc/$PPID/fd/1"\n')
        self.done.chmod(0o755)

    def make_torrent(self, host):
        subprocess.run(["transmission-create", "-o", self.torrent, "-s", "256", "-t",
                        f"http://{host.ip}:6969/announce", self.fleet.file], check=True, stdout=subprocess.DEVNULL)

    def start_tracker(self, host):
        tracker = Program(host, ["python3", "-c", "import sys; sys.path.insert(0, sys.argv[1]); import ways, threading; "
                                 "ways.serve_tracker(6969); print('listening', flush=True); threading.Event().wait()",
                                 Path(__file__).parent], self.fleet.work / "tracker.log", held=False)
        tracker.wait_line("listening")
        return tracker

    def start_source(self, host):
        self.make_torrent(host)
        tracker = self.start_tracker(host)
        directory = self.fleet.work / "source"
        directory.mkdir()
        os.link(self.fleet.file, directory / "blob")
        seed = self.program(host, directory)
        seed.go()
        return [tracker, seed]

    def start_host(self, host):
        directory = self.fleet.work / host.namespace
        directory.mkdir()
        return self.program(host, directory)

    def finished(self, program, line):
        return self.bytes if "finished" in line else None


class Aria2(_Torrent):
    name = "aria2"

    def program(self, host, directory):
        return Program(host, ["aria2c", "--dir", directory, "--enable-dht=false", "--bt-enable-lpd=false",
                              "--file-allocation=none", "--seed-ratio=0", "--check-integrity=true", "--quiet=true",
                              "--bt-max-peers=0", "--listen-port=6881", f"--on-bt-download-complete={self.done}",
                              "--no-conf=true", self.torrent],
                       self.fleet.work / f"{host.namespace}.log")


class Transmission(_Torrent):
    name = "transmission"

    def program(self, host, directory):
        config = self.fleet.work / f"{host.namespace}.config"
        config.mkdir()
        return Program(host, ["transmission-cli", "-g", config, "-w", directory, "-M", "-f", self.done, "-p", "6881",
                              "-u", "100000", "-d", "100000", self.torrent], self.fleet.work / f"{host.namespace}.log")


class Http:
    """One nginx, and a curl on each host."""

    name = "nginx"

    def __init__(self, fleet):
        self.fleet = fleet
        self.bytes = fleet.file.stat().st_size
        self.directory = fleet.work / "www"
        self.directory.mkdir()
        os.link(fleet.file, self.directory / "blob")

    def start_source(self, host):
        work = self.fleet.work
        self.url = f"http://{host.ip}:8080/blob"
        (work / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; user root; pid {work}/nginx.pid; error_log {work}/nginx.error;\n"
            f"events {{}}\nhttp {{ access_log off; server {{ listen {host.ip}:8080; root {self.directory}; }} }}\n")
        server = Program(host, ["nginx", "-c", work / "nginx.conf"], work / "nginx.log", held=False)
        return [server]

    def start_host(self, host):
        return Program(host, ["curl", "--silent", "--retry", "20", "--retry-connrefused", "--retry-delay", "1",
                              "--output", self.fleet.work / host.namespace, "--write-out", "finished\n", self.url],
                       self.fleet.work / f"{host.namespace}.log")

    def finished(self, _, line):
        return self.bytes if "finished" in line else None


WAYS = {way.name: way for way in (Slipway, Aria2, Transmission, Http)}


def available(name):
    need = {"aria2": ["aria2c", "transmission-create"], "transmission": ["transmission-cli", "transmission-create"],
            "nginx": ["nginx", "curl"]}.get(name, [])
    return all(shutil.which(program) for program in need)
