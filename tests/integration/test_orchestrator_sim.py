"""The deployment machine in thousands of simulated worlds, and bugs put in on purpose."""
import os
import subprocess
import unittest

from harness import BIN

SIMULATOR = BIN / "orchestrator_sim"
LONG = os.environ.get("SLIPWAY_TEST_LONG") == "1"


class OrchestratorSim(unittest.TestCase):
    def run_seeds(self, seeds, workers=2):
        """Equal parts of the seeds in parallel; every part must hold."""
        part = seeds // workers
        running = [subprocess.Popen([SIMULATOR, "--first", str(1 + i * part), "--seeds", str(part)],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                   for i in range(workers)]
        for one in running:
            said = one.communicate()[0]
            self.assertEqual(one.returncode, 0, said)
            self.assertIn("0 violations", said)

    def test_no_promise_is_broken(self):
        self.run_seeds(100_000 if LONG else 2_000)

    def test_every_mutation_is_found(self):
        found = subprocess.run([SIMULATOR, "--mutations", "100"], capture_output=True, text=True)
        self.assertEqual(found.returncode, 0, found.stdout)
        self.assertNotIn("NOT FOUND", found.stdout)


if __name__ == "__main__":
    unittest.main()
