#!/usr/bin/env python3
"""Runs the recipe of docs/transport.md as it stands there."""

import os
import re
import socket
import subprocess
import unittest
from pathlib import Path

from harness import BIN, Case, main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "transport.md"


class TransportPage(Case):
    def test_the_recipe_from_nothing_to_a_fleet(self):
        recipe = re.search(r"```sh\n(.*?)```", PAGE.read_text(), re.S)[1]
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.assertIn("127.0.0.1:7443", recipe)
        recipe = recipe.replace("127.0.0.1:7443", f"127.0.0.1:{port}")
        tree = self.tree("1.0")
        tree.rename(self.home / "dist")
        # The page starts the seeder and goes on; a script has to wait for its first line.
        started = recipe.replace("--tls-crl ca/ca.crl &", "--tls-crl ca/ca.crl > ready &\nseeder=$!\n"
                                 "until grep -q listening ready; do kill -0 $seeder; sleep 0.05; done", 1)
        self.assertNotEqual(started, recipe)
        again = next(line for line in recipe.split("# On the host.\n")[1].split("\n\n"))
        script = f"""set -eu
trap 'kill $seeder && wait $seeder || true' EXIT
{started}
test -x host/services/web/current/bin/run
if {again.replace("--root host", "--root other")} 2>refused; then exit 9; fi
grep -q 'revoked' refused
"""
        ended = subprocess.run(["sh", "-c", script], cwd=self.home, capture_output=True, text=True, timeout=120,
                               env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"})
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assert_runs(self.home / "dist", self.home / "host")


if __name__ == "__main__":
    main()
