"""Judges a host after the power failed at the points of its operations."""

import random
import sys

from disk_model import OUTCOMES, Recording, rebuild
from harness import LONG, remove_tree
from scene import SEED, Scene, spread


class PowerCut(Scene):
    states_judged, long_states_judged = 0, sys.maxsize  # In CI, over all operations and points.

    def recordings(self):
        for operation in self.operations().values():
            self.put(operation.ready)
            recording = Recording(self.host())
            calls = self.record(operation)
            recording.add(calls)
            yield operation, recording, max(call.number for call in calls)

    def states(self):
        return [
            (operation, recording, point, last, way, outcome)
            for operation, recording, last in self.recordings()
            for point in range(1, last + 2)
            for way, outcome in enumerate(OUTCOMES)
        ]

    def test_power_cut_at_every_point(self):
        states = self.states()
        count = self.long_states_judged if LONG else self.states_judged
        chosen = spread(states, count, random.Random(SEED)) + [
            state for state in states if state[2] > state[3] and state[5] is OUTCOMES[0]
        ]  # What was told as done is there after any crash.
        exceptions = []
        for operation, recording, point, last, way, outcome in chosen:
            dice = random.Random(f"{SEED} {operation.name} {point} {way}")
            remove_tree(self.host())
            rebuild(recording, point, outcome, dice, self.host())
            if why := self.exception_of(operation, is_over=point > last):
                name = f"{operation.name}, before call {point}, {outcome.__name__} ({way})"
                exceptions.append(f"{name}: {why}")
        print(
            f"power cut: {len(chosen)} of {len(states)} states judged, "
            f"{len(exceptions)} exceptions (seed {SEED})",
            file=sys.stderr,
        )
        self.assertEqual(exceptions, [])
