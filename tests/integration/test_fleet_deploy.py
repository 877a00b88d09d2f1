#!/usr/bin/env python3
"""Deployments over a fleet in network namespaces (tests/fleet/deploy): nightly, for it takes minutes and root."""

import json
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from harness import BIN, LONG, main

PROGRAM = Path(__file__).resolve().parents[1] / "fleet/deploy"
SCENARIOS = {"first", "good", "bad", "slow", "kill-staging", "kill-moving", "kill-baking", "kill-pausing", "kill-rolling_back"}


@unittest.skipUnless(LONG, "only with SLIPWAY_TEST_LONG=1")
@unittest.skipUnless(os.geteuid() == 0, "network namespaces need root")
class FleetDeploy(unittest.TestCase):
    def test_every_deployment_ends_as_it_must(self):
        self.assertTrue(shutil.which("prometheus"), "packaging/deps test installs prometheus")
        ended = subprocess.run([sys.executable, PROGRAM, "--bin", BIN], capture_output=True, text=True, timeout=1500)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertEqual({json.loads(line)["scenario"] for line in ended.stdout.splitlines()}, SCENARIOS)


if __name__ == "__main__":
    main()
