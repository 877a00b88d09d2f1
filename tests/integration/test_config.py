#!/usr/bin/env python3
"""The daemons' configuration: file, environment and flags, and what --check-config says."""

import os
import re
from pathlib import Path

from harness import USAGE, Case, Seeder, main, write

SOURCE = Path(__file__).resolve().parents[2]
SHIPPED = SOURCE / "packaging" / "etc"


class Config(Case):
    def check(self, program, text, *flags, status=0, **variables):
        file = write(self.home / "config.toml", text)
        return self.slipway(
            "run", "--config", file, "--check-config", *flags, program=program, status=status, env={**os.environ, **variables}
        )

    def test_mistakes_are_told_with_line_and_key(self):
        wrong = self.check("slipway-agent", "seeders = ['/srv']\npatience_s = 'x'\n[tls]\nkez = 'k'\n", status=USAGE)
        self.assertIn("config.toml: line 2: patience_s must be a number from 1 to 3600; line 4: tls.kez is not known", wrong.err)
        wrong = self.check("slipway-seeder", "repository = '/srv'\n\nlisten = 'nowhere'\nregio = 'eu'\n", status=USAGE)
        self.assertIn("config.toml: line 3: listen must be IP:PORT; line 4: regio is not known", wrong.err)
        self.assertIn("line 1", self.check("slipway-seeder", "repository\n", status=USAGE).err)
        wrong = self.check("slipway-agent", "root = '/r'\n", status=USAGE)
        self.assertIn("seeders must name one at least", wrong.err)
        wrong = self.check("slipway-seeder", "repository = '/srv'\nlisten = '192.0.2.1:1'\n", status=USAGE)
        self.assertIn("without certificates", wrong.err)

    def test_environment_and_flags_count_more_than_the_file(self):
        file = "seeders = ['/srv']\npatience_s = 0\n"
        self.assertIn("line 2", self.check("slipway-agent", file, status=USAGE).err)
        self.assertIn(": right", self.check("slipway-agent", file, SLIPWAY_AGENT_PATIENCE_S="5").out)
        wrong = self.check("slipway-agent", file, SLIPWAY_AGENT_PATIENCE_S="x", status=USAGE)
        self.assertIn("SLIPWAY_AGENT_PATIENCE_S: patience_s must be", wrong.err)
        self.check("slipway-agent", file, "--set", "patience_s=6", SLIPWAY_AGENT_PATIENCE_S="x")
        wrong = self.check("slipway-agent", file, "--set", "patienze=6", "--set", "patience_s=1", status=USAGE)
        self.assertIn("--set patienze: patienze is not known", wrong.err)
        self.assertIn("KEY=VALUE", self.check("slipway-agent", file, "--set", "patience_s", status=USAGE).err)

    def test_a_seeder_runs_from_its_file_and_a_flag_wins(self):
        self.init_repo()
        file = write(self.home / "seeder.toml", f"repository = '{self.repo}'\nlisten = 'x'\nregion = 'eu'\n")
        seeder = Seeder(self, self.repo, "--config", file, "--set", "listen=127.0.0.1:0")
        self.assertIn('"region":"eu"', self.get(seeder.url + "/v1/seeder"))
        nothing = self.slipway("run", program="slipway-seeder", status=USAGE)
        self.assertIn("--repo", nothing.err)

    def get(self, url):
        import urllib.request

        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()

    def test_shipped_files_are_right_as_they_are_and_with_every_key(self):
        for daemon, keys in (("agent", "agent/core/agent_config.cpp"), ("seeder", "seeder/core/seeder_config.cpp"),
                             ("orchestrator", "orchestrator/core/orchestrator_config.cpp")):
            text = (SHIPPED / f"{daemon}.toml").read_text()
            whole = re.sub(r"(?m)^#(\[|\w+ = )", r"\1", text)
            self.check(f"slipway-{daemon}", whole.replace('"127.0.0.1:7070"', '"192.0.2.1:7070"'))
            as_shipped = self.check(f"slipway-{daemon}", text, status=None)
            if daemon == "agent":
                self.assertIn("seeders must name one at least", as_shipped.err)
            else:
                self.assertEqual(as_shipped.status, 0, str(as_shipped))
            known = re.findall(r'(?:take|take_count|table)\("([a-z_]+)"', (SOURCE / keys).read_text())
            self.assertGreater(len(known), 8)
            for key in known:
                self.assertRegex(text, rf"(?m)^#?({key} = |\[([a-z.]+\.)?{key}[].])", f"{daemon}.toml does not tell of {key}")


if __name__ == "__main__":
    main()
