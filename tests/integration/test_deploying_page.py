"""Runs the commands of docs/deploying.md as they stand there."""

import os
import re
import socket
import ssl
import subprocess
from pathlib import Path

from harness import BIN, Case, main, write
from orchestrator_fleet import Agent, until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deploying.md"


class Authority:
    """The page's own, for agents."""

    def __init__(self, test):
        self.test, self.ca = test, test.home / "fleet-ca"

    def issue(self, identity):
        out = self.test.home / identity.replace("/", "-")
        self.test.slipway("ca", "issue", "--ca", self.ca, identity, "--out", out)
        return out

    def python_context(self, out):
        context = ssl.create_default_context(cafile=str(self.ca / "ca.pem"))
        context.load_cert_chain(out / "cert.pem", out / "key.pem")
        return context


class DeployingPage(Case):
    def test_from_nothing_to_a_deployment(self):
        page = PAGE.read_text()
        set_up, environment, deploy = re.findall(r"```sh\n(.*?)```", page, re.S)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        config = re.search(r"with `orchestrator.toml`:\n\n```toml\n(.*?)```", page, re.S)[1]
        self.assertIn("127.0.0.1:7443", config)
        write(self.home / "orchestrator.toml", self.here(config))
        self.init_repo()
        for version in ("1.0", "1.1"):
            write(self.home / version / "run", version)
            self.publish(version, self.home / version)
        self.assertIn("slipway-orchestrator run --config orchestrator.toml\n", set_up)
        set_up = set_up.replace("run --config orchestrator.toml\n", "run --config orchestrator.toml > ready 2> log &\necho $! > pid\n"
                                "until grep -q listening ready; do kill -0 $(cat pid); sleep 0.05; done\n")
        self.addCleanup(self.stop)
        self.shell(set_up)
        self.authority, self.bad = Authority(self), set()
        agents = [Agent(self, f"h{i}", {"tier": "web"}) for i in range(2)]
        for agent in agents:
            agent.start()
            self.addCleanup(agent.end)
        # The page's strategy is the default, which bakes for long: a test promotes.
        first = "slipway deploy web web@1.0 --env prod --json > made; sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/' made > id\n"
        self.shell(self.here(environment.replace("slipway hosts\n", "until slipway hosts | grep -q h1; do sleep 0.1; done\n")) + first
                   + "slipway promote $(cat id) --full\nuntil slipway status $(cat id) | grep -q succeeded; do sleep 0.1; done\n")
        lines = [line.split("#")[0].strip() for line in deploy.strip().splitlines()]
        exports = "\n".join(line for line in environment.splitlines() if line.startswith("export"))
        plan, wait, watch = lines
        self.shell(f"""{self.here(exports)}
{plan} && exit 9 || test $? = 2
{wait} > waited &
waiter=$!
until slipway history web --limit 1 | grep -q 'web@1.0 -> web@1.1'; do sleep 0.1; done
slipway history web --limit 1 --json | sed 's/.*"id":"\\([^"]*\\)".*/\\1/' > id
slipway promote $(cat id) --full
wait $waiter
{watch} | grep succeeded
""")
        until(lambda: all(agent.running["artifact"] == "web@1.1" for agent in agents))

    def addresses(self):
        return [f"127.0.0.1:{self.port}"]

    def next_address(self):
        pass

    def here(self, text):
        return text.replace("127.0.0.1:7443", f"127.0.0.1:{self.port}")

    def shell(self, script):
        ended = subprocess.run(["sh", "-euxc", script], cwd=self.home, capture_output=True, text=True, timeout=60,
                               env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"})
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def stop(self):
        pid = self.home / "pid"
        if pid.exists():
            subprocess.run(["kill", pid.read_text().strip()], check=False)
            until(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists())


if __name__ == "__main__":
    main()
