#!/usr/bin/env python3
"""Metrics, their page, the alert rules and the dashboard tell of the same names."""

import json
import re
import subprocess
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
MONITORING = SOURCE / "packaging" / "monitoring"
NAME = r"slipway_[a-z_]+[a-z]"


def documented():
    """Names in the tables of docs/metrics.md."""
    page = (SOURCE / "docs/metrics.md").read_text()
    return {name for line in page.splitlines() if line.startswith("| `") for name in re.findall(NAME, line.split("|")[1])}


def in_code():
    names = set()
    for room in ("agent", "seeder", "orchestrator", "common"):
        for file in (SOURCE / room).rglob("*.cpp"):
            names |= set(re.findall(rf'"({NAME})', file.read_text()))
    return names


class Monitoring(unittest.TestCase):
    def test_the_page_has_every_metric_of_the_code_and_no_other(self):
        self.assertGreater(len(in_code()), 6)
        self.assertEqual(in_code() - documented(), set(), "in the code, not in docs/metrics.md")
        self.assertEqual(documented() - in_code(), set(), "in docs/metrics.md, not in the code")

    def test_rules_and_dashboard_use_metrics_that_there_are(self):
        rules = (MONITORING / "slipway.rules.yml").read_text()
        dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
        asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        used = set(re.findall(rf"\b{NAME}\b", " ".join(re.findall(r"(?m)expr: (.*)$", rules) + asked)))
        self.assertGreater(len(used), 4)
        self.assertEqual(used - documented(), set())

    def test_prometheus_takes_the_rules_and_the_questions(self):
        checked = subprocess.run(["promtool", "check", "rules", MONITORING / "slipway.rules.yml"], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertRegex(checked.stdout + checked.stderr, r"[1-9]\d* rules found")


if __name__ == "__main__":
    unittest.main(verbosity=2)
