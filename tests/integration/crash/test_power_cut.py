#!/usr/bin/env python3
"""The power fails at any point: whatever the disk kept of what was not synced, no release is mixed.

Each operation is recorded once. For every point of it, and every way in which a crash may treat what
was not synced (disk_model.py, docs/decisions/0090), the disk is rebuilt and the host is judged as after
a kill. What `current` names must be the old release or the new one, to the byte.
"""

import random

import power_cut
from disk_model import OUTCOMES, Recording, rebuild
from harness import main, remove_tree, snapshot


class PowerCutOfInstalls(power_cut.PowerCut):
    states_judged = 120

    def test_the_model_rebuilds_what_the_program_left(self):
        """With all changes kept, the disk is what the file system shows: the log lacks nothing."""
        for operation, recording, last in self.recordings():
            left = snapshot(self.host())
            remove_tree(self.host())
            rebuild(recording, last + 1, OUTCOMES[-1], random.Random(0), self.host())
            with self.subTest(operation.name):
                found = snapshot(self.host())
                self.assertEqual(set(found), set(left))
                self.assertEqual([n for n in left if left[n] != found[n]], [])

    def test_a_program_that_syncs_nothing_is_caught(self):
        """Without the syncs of an upgrade its end may be mixed, or forgotten, and that is found."""
        operation = self.operations()["upgrade"]
        self.put(operation.ready)
        recording = Recording(self.host())
        calls = self.record(operation)
        recording.add([call for call in calls if "sync" not in call.kind])
        for outcome, words in ((OUTCOMES[0], "was told as done"), (OUTCOMES[1], "'mixed'")):
            remove_tree(self.host())
            rebuild(recording, len(calls) + 1, outcome, random.Random(0), self.host())
            self.assertIn(words, str(self.exception_of(operation, is_over=True)))


if __name__ == "__main__":
    main()
