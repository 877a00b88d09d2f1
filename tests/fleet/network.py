"""A fleet on one machine: a network namespace for each host, its link shaped up and down, a bridge
for each region, and borders between regions that are shaped, too.

    host --veth, tbf at both ends-- bridge of its region --veth, tbf at both ends-- bridge between regions

Hosts of region r have the addresses 10.77.r.2 and up; the network is one subnet, so that no routes
are needed. Everything is named after this process and removed with it.
"""

import os
import subprocess

# Of a switch port or a network card: what waits behind the shaper, in time at the link's rate.
QUEUE_MS = 200
BURST_BYTES = 64 * 1024


def batch(program, lines):
    """Runs many commands of ip(8) or tc(8) in one process."""
    subprocess.run([program, "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True,
                   stdout=subprocess.DEVNULL)


def shaper(device, rate_mbit):
    return f"qdisc replace dev {device} root tbf rate {rate_mbit}mbit burst {BURST_BYTES} latency {QUEUE_MS}ms"


class Host:
    def __init__(self, network, region, number):
        self.region, self.number = region, number
        self.namespace = f"{network.name}h{region}-{number}"
        self.port = f"{network.name}p{region}-{number}"  # Its end of the cable in the bridge's namespace.
        self.ip = f"10.77.{region}.{number + 2}"

    def command(self, *args):
        return ["ip", "netns", "exec", self.namespace, *map(str, args)]


class Network:
    """Use as a context: leaving it removes every namespace, and the cables with them."""

    def __init__(self, regions, hosts_per_region, rate_mbit, border_mbit=None):
        self.name = f"sw{os.getpid() % 10000}"
        self.switch = f"{self.name}s"
        self.regions = regions
        self.border_mbit = border_mbit
        self.rate_mbit = rate_mbit
        self.hosts = [[Host(self, r, i) for i in range(hosts_per_region)] for r in range(regions)]

    def all_hosts(self):
        return [host for region in self.hosts for host in region]

    def __enter__(self):
        hosts = self.all_hosts()
        try:
            batch("ip", [f"netns add {name}" for name in [self.switch, *(h.namespace for h in hosts)]])
            inside = []
            for region in range(self.regions):
                inside += [f"link add name br{region} type bridge forward_delay 0", f"link set br{region} up"]
            if self.regions > 1:
                inside += ["link add name core type bridge forward_delay 0", "link set core up"]
                for region in range(self.regions):
                    inside += [f"link add name out{region} type veth peer name in{region}",
                               f"link set out{region} master br{region}", f"link set in{region} master core",
                               f"link set out{region} up", f"link set in{region} up"]
            self.in_switch("ip", inside)
            self.in_switch("ip", [f"link add name {h.port} type veth peer name eth0 netns {h.namespace}" for h in hosts])
            self.in_switch("ip", [line for h in hosts for line in (f"link set {h.port} master br{h.region}",
                                                                   f"link set {h.port} up")])
            self.in_switch("tc", [shaper(h.port, self.rate_mbit) for h in hosts])
            if self.regions > 1 and self.border_mbit:
                self.in_switch("tc", [shaper(f"{side}{r}", self.border_mbit)
                                      for r in range(self.regions) for side in ("out", "in")])
            for host in hosts:
                subprocess.run(["ip", "-n", host.namespace, "-batch", "-"], text=True, check=True, input=(
                    f"link set lo up\naddr add {host.ip}/16 dev eth0\nlink set eth0 up\n"))
                self.set_uplink(host, self.rate_mbit)
            return self
        except BaseException:
            self.__exit__()
            raise

    def in_switch(self, program, lines):
        subprocess.run(["ip", "netns", "exec", self.switch, program, "-batch", "-"], text=True, check=True,
                       input="\n".join(lines) + "\n", stdout=subprocess.DEVNULL)

    def set_uplink(self, host, rate_mbit):
        subprocess.run(host.command("tc", *shaper("eth0", rate_mbit).split()), check=True)

    def set_link(self, host, rate_mbit):
        self.set_uplink(host, rate_mbit)
        self.in_switch("tc", [shaper(host.port, rate_mbit)])

    def sent_bytes(self, host):
        """Bytes that left the host, framing included."""
        return self.counter(host.port, "rx_bytes")

    def crossed_bytes(self, region):
        """Bytes that came into the region over its border, framing included."""
        return self.counter(f"out{region}", "rx_bytes") if self.regions > 1 else 0

    def counter(self, device, name):
        out = subprocess.run(["ip", "netns", "exec", self.switch, "cat", f"/sys/class/net/{device}/statistics/{name}"],
                             check=True, stdout=subprocess.PIPE, text=True)
        return int(out.stdout)

    def counters(self, ports):
        """What came from and went to each host so far."""
        files = [f"/sys/class/net/{port}/statistics/{name}" for port in ports for name in ("rx_bytes", "tx_bytes")]
        out = subprocess.run(["ip", "netns", "exec", self.switch, "cat", *files], check=True, stdout=subprocess.PIPE, text=True)
        numbers = list(map(int, out.stdout.split()))
        return list(zip(numbers[::2], numbers[1::2]))

    def __exit__(self, *_):
        names = [self.switch, *(h.namespace for h in self.all_hosts())]
        for name in names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)
