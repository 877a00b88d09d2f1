"""Machines for the system tests: systemd booted in containers on Debian bookworm, each with a network of its own.

Everything runs in mount, network and process namespaces of the test (see `main`), so that nothing is left on the
host, whatever happens, but the bootstrapped root below build/system.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PACKAGES = Path(os.environ.get("SLIPWAY_DEB", SOURCE / "build/deb"))
CACHE = Path(os.environ.get("SLIPWAY_SYSTEM_CACHE", SOURCE / "build/system"))
BASE = ["systemd", "systemd-sysv", "dbus", "polkitd", "python3-minimal", "libpython3-stdlib", "iproute2"]
SKIPPED = 77


def run(*command, **options):
    said = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    if said.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: status {said.returncode}\n{said.stdout}{said.stderr}")
    return said.stdout


def package(name):
    found = sorted(PACKAGES.glob(f"{name}_*.deb"))
    return found[-1] if found else None


def depended_on():
    """What the packages need from Debian, so that installing them needs no network."""
    needed = set(BASE)
    for deb in PACKAGES.glob("*.deb"):
        for one in run("dpkg-deb", "-f", deb, "Depends").split(","):
            name = one.split("|")[0].split("(")[0].strip()
            if name and not name.startswith("slipway"):
                needed.add(name)
    return sorted(needed)


def mirror():
    """The mirror that this machine's apt uses for bookworm, if it does."""
    wanted = ["Codename: bookworm", "Label: Debian", "Created-By: Packages"]
    return run("apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted).split()[:1]


def bootstrapped():
    """A root of Debian bookworm with what the packages depend on; made once, and kept in build/system."""
    packages = depended_on()
    root = CACHE / f"bookworm-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:12]}.tar"
    if not root.exists():
        began = time.monotonic()
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = root.with_suffix(".partial.tar")
        run("mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}", "bookworm", partial, *mirror(), timeout=900)
        partial.rename(root)
        print(f"bootstrapped {root.name} in {time.monotonic() - began:.0f} s", flush=True)
    return root


class Machine:
    """A booted system. What it writes stays when it is killed and booted again."""

    def __init__(self, lab, name, address):
        self.lab, self.name, self.address = lab, name, address
        self.home = lab.home / name
        self.root = self.home / "root"
        for directory in ("upper", "work", "root"):
            (self.home / directory).mkdir(parents=True)
        layers = f"lowerdir={lab.base},upperdir={self.home}/upper,workdir={self.home}/work"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        (self.root / "etc/hostname").write_text(name + "\n")
        (self.root / "etc/machine-id").write_text(hashlib.md5(name.encode()).hexdigest() + "\n")
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "host0", "netns", name)
        run("ip", "link", "set", f"to-{name}", "master", "switch", "up")
        run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "host0")
        for link in ("lo", "host0"):
            run("ip", "-n", name, "link", "set", link, "up")
        self.process = None

    def boot(self):
        self.log = open(self.home / "console", "ab")
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", f"--directory={self.root}"]
        command += [f"--network-namespace-path=/run/netns/{self.name}", "--console=pipe", "--link-journal=no"]
        # The file systems of cgroups are shared by all: each machine lives in a directory of its own.
        def enter():
            for hierarchy in self.lab.cgroups:
                place = hierarchy / f"{self.lab.home.name}-{self.name}"
                place.mkdir(exist_ok=True)
                (place / "cgroup.procs").write_text("0")

        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=enter)
        self.wait(lambda: self.leader() and self.shell("systemctl is-system-running", check=False).strip() in ("running", "degraded"), 60)

    def leader(self):
        """The process that is number 1 inside."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with contextlib.suppress(OSError):
            if found := children.read_text().split():
                return int(found[0])
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} does not boot:\n{self.console()}")
        return None

    def console(self):
        return (self.home / "console").read_text(errors="replace")[-4000:]

    def command(self, line):
        return ["nsenter", "--target", str(self.leader()), "--mount", "--uts", "--ipc", "--net", "--pid", "--", "/bin/sh", "-ec", line]

    def shell(self, line, check=True, timeout=60):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
        said = subprocess.run(self.command(line), capture_output=True, text=True, timeout=timeout, env=environment)
        if check and said.returncode != 0:
            raise AssertionError(f"{self.name}: {line}: status {said.returncode}\n{said.stdout}{said.stderr}\n{self.journal()}")
        return said.stdout

    def journal(self, unit="slipway-*"):
        return self.shell(f"journalctl --no-pager -o short-monotonic -n 60 -u '{unit}'", check=False)

    def write(self, path, text, mode=0o644):
        self.shell(f"mkdir -p {os.path.dirname(path)}; cat > {path}.new <<'END-OF-FILE'\n{text}\nEND-OF-FILE\nchmod {mode:o} {path}.new; mv {path}.new {path}")

    def copy_in(self, file, path):
        with open(file, "rb") as content:
            subprocess.run(self.command(f"cat > {path}"), stdin=content, check=True)

    def install(self, *names):
        for name in names:
            self.copy_in(package(name), f"/tmp/{name}.deb")
        self.shell(f"dpkg --install {' '.join(f'/tmp/{name}.deb' for name in names)}", timeout=120)

    def wait(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError, ValueError, KeyError):
                if found := condition():
                    return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: not within {seconds} s\n{self.journal()}\n{self.console()}")
            time.sleep(0.05)

    def unplug(self):
        run("ip", "link", "set", f"to-{self.name}", "down")

    def plug(self):
        run("ip", "link", "set", f"to-{self.name}", "up")

    def kill(self):
        """As if the power failed: everything inside ends at once."""
        if self.process is None:
            return
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                if leader := self.leader():
                    os.kill(leader, signal.SIGKILL)  # The kernel kills all of its process namespace.
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None
        self.log.close()


class Lab:
    """A network with machines on it."""

    def __init__(self):
        self.home = Path(tempfile.mkdtemp(prefix="slipway-lab-"))
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.home)
        self.base = self.home / "base"
        self.base.mkdir()
        run("tar", "-C", self.base, "-xf", bootstrapped(), "--exclude=./dev/*")
        run("ip", "link", "add", "switch", "type", "bridge")
        run("ip", "link", "set", "switch", "up")
        run("ip", "address", "add", "10.77.0.254/24", "dev", "switch")
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        self.cgroups = [Path(m[1]) for m in mounts if m[2] == "cgroup2" or (m[2] == "cgroup" and "name=systemd" in m[3])]
        self.machines = []

    def machine(self, name, address):
        machine = Machine(self, name, address)
        self.machines.append(machine)
        machine.boot()
        return machine

    def end(self):
        for machine in self.machines:
            machine.kill()
            for hierarchy in self.cgroups:
                self.remove_cgroups(hierarchy / f"{self.home.name}-{machine.name}")

    @staticmethod
    def remove_cgroups(place):
        for directory, _, _ in os.walk(place, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def enter_namespaces():
    """Starts this program again in namespaces of its own; ends with status 77 where that is impossible."""
    if os.environ.get("SLIPWAY_LAB") == "inside":
        run("mount", "-t", "tmpfs", "tmpfs", "/run/netns") if Path("/run/netns").exists() else os.mkdir("/run/netns")
        run("ip", "link", "set", "lo", "up")
        return
    missing = [tool for tool in ("systemd-nspawn", "mmdebstrap", "ip", "nsenter") if not shutil.which(tool)]
    if os.getuid() != 0 or missing or subprocess.run(["unshare", "--mount", "--net", "true"]).returncode != 0:
        print(f"tests/system: SKIPPED: needs root, namespaces, and tools (not here: {missing})", file=sys.stderr)
        sys.exit(SKIPPED)
    if not package("slipway-agent"):
        sys.exit(f"tests/system: no packages in {PACKAGES}: run packaging/build-deb first")
    bootstrapped()  # Inside there is no network to fetch it from.
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--", sys.executable, *sys.argv]
    sys.exit(subprocess.run(unshare, env={**os.environ, "SLIPWAY_LAB": "inside"}).returncode)


def main():
    enter_namespaces()
    unittest.main(verbosity=2, failfast=True)
