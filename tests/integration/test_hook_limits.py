#!/usr/bin/env python3
"""What only a cgroup's controllers can do for hooks, in a kernel of its own that has them."""

import subprocess
import unittest
from pathlib import Path

from harness import BIN, main

RUN_KERNEL = Path(__file__).resolve().parents[1] / "system/run-kernel"


class HookLimits(unittest.TestCase):
    def test_memory_and_tasks_of_hooks(self):
        ended = subprocess.run(
            [RUN_KERNEL, BIN / "agent_hook_limits", "--durations", "yes", "--use-colour", "no"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        said = ended.stdout.decode(errors="replace")
        if ended.returncode == 77:
            self.skipTest(said.strip())
        self.assertEqual(ended.returncode, 0, said)
        self.assertNotIn("not run", said)
        self.assertIn("2 test cases", said)


if __name__ == "__main__":
    main()
