"""Programs of a fleet run: started in a host's namespace, held until all may go, timed, and ended by
their own ids."""

import os
import selectors
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


def _cpu_seconds(pid):
    """Of a process and the children that it has."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            children = file.read().split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS + sum(_cpu_seconds(int(child)) for child in children)


class Program:
    """Stands ready in its namespace; go() lets it run."""

    def __init__(self, host, args, log, held=True):
        self.host = host
        self.log = open(log, "wb")
        # The shell is replaced by the program once a line comes.
        hold = ["sh", "-c", 'read -r _ && exec "$@"', "held"] if held else []
        self.process = subprocess.Popen(host.command("nice", "-n", "5", *hold, *args), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.seen = b""

    def go(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def lines(self):
        """Whole lines that were printed since the last call."""
        self.seen += self.process.stdout.read() or b""
        *whole, self.seen = self.seen.split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def wait_line(self, part, timeout_s=20):
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while selector.select(max(0, deadline - time.monotonic())):
                for line in self.lines():
                    if part in line:
                        return line
                if self.process.poll() is not None:
                    break
        raise RuntimeError(f"{self.process.args}: no line with '{part}'; see {self.log.name}")

    def cpu_seconds(self):
        return _cpu_seconds(self.process.pid)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()

    def reap(self):
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()
