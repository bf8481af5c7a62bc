"""Network namespaces for tests: made with `ip`, joined by veth pairs without offloads, gone when the block ends."""
import array
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from contextlib import contextmanager

import pytest

SIOCETHTOOL = 0x8946
# transmit checksums, scatter-gather, TCP segmentation, generic segmentation and receive offload (linux/ethtool.h)
SWITCHES = (0x17, 0x19, 0x1F, 0x24, 0x2C)


def command(namespace, *words):
    """The words as a command line inside the namespace. Unlike `ip netns exec` it mounts nothing, which not every root may."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *map(str, words)]


def ip(*words, inside=None):
    """Runs `ip`, in the namespace `inside` where one is given."""
    line = ["ip", *words]
    return subprocess.run(line if inside is None else command(inside, *line), check=True, capture_output=True, text=True)


def offloads_off(interface):
    """What `ethtool -K INTERFACE tx off sg off tso off gso off gro off` does, for the interface of this process's namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        for switch in SWITCHES:
            value = array.array("B", struct.pack("II", switch, 0))
            fcntl.ioctl(door, SIOCETHTOOL, struct.pack("16sP", interface.encode(), value.buffer_info()[0]))


@contextmanager
def namespaces(*roles):
    """Names of new namespaces, one a role; skips the test where they cannot be made."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("network namespaces need Linux and root")
    for tool, package in (("ip", "iproute2"), ("nsenter", "util-linux")):
        if shutil.which(tool) is None:
            pytest.skip(f"network namespaces need the command {tool} ({package})")
    names = [f"fastpath-{role}-{os.getpid()}" for role in roles]
    made = []
    try:
        for name in names:
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
            made.append(name)
        yield names
    finally:
        for name in made:
            ip("netns", "del", name)


def join(left, left_name, right, right_name):
    """A veth pair: left_name in namespace left, right_name in namespace right; both up, without offloads."""
    ip("link", "add", left_name, "netns", left, "type", "veth", "peer", "name", right_name, "netns", right)
    for namespace, name in ((left, left_name), (right, right_name)):
        subprocess.run(command(namespace, sys.executable, __file__, name), check=True)
        ip("link", "set", name, "up", inside=namespace)


if __name__ == "__main__":
    offloads_off(sys.argv[1])
