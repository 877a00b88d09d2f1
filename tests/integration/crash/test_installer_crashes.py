#!/usr/bin/env python3
"""slipway-installer is killed at, or refused, any call that changes the disk, or loses power there, while
it builds and switches: `current` is whole at any time, and the same requests end what was begun."""

import points
import power_cut
from harness import main
from installer_scene import InstallerScene


class InstallerCalls(InstallerScene, points.Points):
    kill_points, fail_points = 20, 10


class InstallerPowerCut(InstallerScene, power_cut.PowerCut):
    states_judged = 16


if __name__ == "__main__":
    main()
