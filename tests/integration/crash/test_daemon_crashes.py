#!/usr/bin/env python3
"""The daemon is killed at, or refused, any call that changes the disk, or loses power there, in an upgrade
and in a way back after a failed probe: `current` is whole at any time, and the daemon started again
ends what was begun."""

import points
import power_cut
from daemon_scene import DaemonScene
from harness import main


class DaemonCalls(DaemonScene, points.Points):
    kill_points, fail_points = 16, 4
    long_fail_points = 150  # After an error it waits for two seconds.
    # Its threads share the work differently each time: not every number is met.
    kills_at_least = 0.8
    # It tells of a disk that fails and tries again: an error ends it only while it starts.
    fails_at_least = 0


class DaemonPowerCut(DaemonScene, power_cut.PowerCut):
    states_judged, long_states_judged = 16, 600


if __name__ == "__main__":
    main()
