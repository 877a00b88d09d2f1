#!/usr/bin/env python3
"""slipway-agent.service as it is shipped, under a real systemd: what it is told, its journal, and the cgroups of its hooks."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from harness import BIN, Case, main, remove_tree, write

SOURCE = Path(__file__).resolve().parents[2]
STATE_OF_A_SERVICE = "1589cdfdc5bfc39fd21a5fdd2070435c"  # docs/events.md
PATIENCE_S = 60

CONFIG = """
root = "/var/lib/slipway"
trust = "/srv/root.json"
seeders = ["/srv/repo"]
[services.web.run]
version = 1
[services.web.run.hooks.post-switch]
argv = ["where"]
"""


class Systemd(Case):
    def test_the_shipped_unit(self):
        self.init_repo()
        tree = self.home / "tree"
        write(tree / "where", "#!/bin/sh\ncat /proc/self/cgroup > /var/lib/slipway/where\n", 0o755)
        self.publish("1.0", tree)
        # The booted system has a /tmp of its own, and this one's /var/tmp.
        shared = Path(tempfile.mkdtemp(prefix="slipway-systemd-", dir="/var/tmp"))
        self.addCleanup(remove_tree, shared)
        for name in ("slipway-agent.service", "slipway-agent.sysusers", "slipway-agent.tmpfiles"):
            shutil.copy(SOURCE / "packaging/systemd" / name, shared)
        shutil.copy(BIN / "slipway-agent", shared)
        shutil.copy(self.trust, shared / "root.json")
        shutil.copy(__file__, shared / "inside.py")
        shutil.copy(Path(__file__).parent / "harness.py", shared)
        shutil.copytree(self.repo, shared / "repo")
        inside = write(shared / "inside", f"#!/bin/sh\nexec python3 {shared}/inside.py --inside {shared}\n", 0o755)
        ended = subprocess.run([SOURCE / "tests/system/run", inside], capture_output=True, text=True, timeout=240)
        if ended.returncode == 77:
            self.skipTest(ended.stderr.strip())
        self.assertEqual(ended.returncode, 0, ended.stdout[-6000:] + ended.stderr[-2000:])


def call(*args):
    return subprocess.run(list(map(str, args)), check=True, capture_output=True, text=True).stdout


def entries(*matches):
    return [json.loads(line) for line in call("journalctl", "-o", "json", *matches).splitlines()]


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        if time.monotonic() > deadline:
            print(call("journalctl", "--no-pager", "-n", "60"))
            raise SystemExit(f"never {what}")
        time.sleep(0.1)
    return found


def require(holds, what):
    if not holds:
        print(call("journalctl", "--no-pager", "-n", "60"))
        raise SystemExit(f"not so: {what}")


def shown(key):
    return call("systemctl", "show", "--value", "-p", key, "slipway-agent").strip()


def inside(home):
    # The unit sees neither homes nor /tmp.
    shutil.copytree(home / "repo", "/srv/repo")
    shutil.copy(home / "root.json", "/srv/root.json")
    shutil.copy(home / "slipway-agent", "/usr/local/bin")
    call("systemd-sysusers", home / "slipway-agent.sysusers")
    call("systemd-tmpfiles", "--create", home / "slipway-agent.tmpfiles")
    call("chown", "-R", "slipway", "/var/lib/slipway")  # Without slipway-installer the agent does all itself.
    write("/etc/slipway/agent.toml", CONFIG)
    wanted = {"version": 1, "epoch": 1, "services": {"web": {"run": {"artifact": "web@1.0"}}}}
    write("/etc/slipway/desired.json", json.dumps(wanted))
    unit = (home / "slipway-agent.service").read_text().replace("/usr/bin/slipway-agent", "/usr/local/bin/slipway-agent")
    unit = unit.replace("WatchdogSec=30s", "WatchdogSec=6s")  # Nobody wants to wait for it here.
    write("/run/systemd/system/slipway-agent.service", unit)
    call("systemctl", "daemon-reload")
    call("systemctl", "start", "slipway-agent")  # Ends when it said READY.
    wait_for("healthy", lambda: shown("StatusText") == "web healthy (web@1.0)")

    found = wait_for("in the journal", lambda: entries(f"MESSAGE_ID={STATE_OF_A_SERVICE}", "SLIPWAY_STATE=healthy"))[0]
    for key, value in {
        "SLIPWAY_EVENT": "service.state", "SLIPWAY_SERVICE": "web", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "slipway-agent",
        "_SYSTEMD_UNIT": "slipway-agent.service", "_TRANSPORT": "journal",
    }.items():
        require(found.get(key) == value, f"{key} is {value}: {found}")
    require(found["MESSAGE"].startswith('service.state service="web" state="healthy"'), found["MESSAGE"])

    where = Path("/var/lib/slipway/where").read_text()
    own = [line for line in where.splitlines() if line.startswith("0::")]
    require(own and "/slipway-agent.service/hooks/hook-" in own[0], f"the hook had a cgroup of its own: {where}")
    require(shown("Delegate") == "yes", "its cgroup is delegated")

    write("/etc/slipway/agent.toml", 'patience_s = 5\n' + CONFIG + '[limits]\ndownload_bytes_per_s = "1M"\n')
    call("systemctl", "reload", "slipway-agent")
    wait_for("reloaded", lambda: entries("SLIPWAY_EVENT=config.reloaded", "SLIPWAY_LIMITS=changed"))
    require(entries("SLIPWAY_EVENT=config.needs_restart", "SLIPWAY_KEY=patience_s"), "the rest is told")
    require(shown("ActiveState") == "active" and shown("NRestarts") == "0", "it runs on")

    # Stopped it does not turn, and the watchdog has it killed and started again.
    first = shown("MainPID")
    os.kill(int(first), 19)
    wait_for("started again by the watchdog", lambda: shown("NRestarts") == "1" and shown("MainPID") not in ("0", first))
    wait_for("healthy again", lambda: shown("StatusText") == "web healthy (web@1.0)")
    call("systemctl", "stop", "slipway-agent")
    require(shown("Result") == "success", shown("Result"))


if __name__ == "__main__":
    import sys

    if sys.argv[1:2] == ["--inside"]:
        inside(Path(sys.argv[2]))
    else:
        main()
