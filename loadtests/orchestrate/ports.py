"""Ports for the servers of one run, which nobody else takes between their choice and their use."""

import random
import socket
from contextlib import suppress
from pathlib import Path

from loadtests.errors import InputError

LOWEST, HIGHEST = 10_000, 65_535
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
ATTEMPTS = 1_000


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


class Ports:
    """Ports of one run, kept apart from those of other runs on the machine, whoever runs them.

    A run claims a port by a socket in Linux's abstract namespace, which no file and no crash can leave behind; so two runs that
    start together never choose the same port, though neither has a server listening yet. A port that had to be found lies
    outside the range from which the kernel gives outgoing connections theirs: a load test beside us opens thousands a second,
    and one of them would sooner or later have it before our server does.
    """

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []

    def choose(self, wanted: int, required: bool = False, host: str = "127.0.0.1") -> int:
        """`wanted` if it is free, else any free port; 0 for any. Raises InputError when it is required and taken."""
        if wanted and self._claim(wanted, host):
            return wanted
        if required:
            raise InputError(f"port {wanted} is taken; give another one, or none to have a free one found")
        for port in random.sample(lasting_ports(), ATTEMPTS):
            if self._claim(port, host):
                return port
        raise InputError(f"ports: none is free of {ATTEMPTS:,} tried; end servers that this machine does not need")

    def release(self) -> None:
        """Give all ports back."""
        while self._claims:
            self._claims.pop().close()

    def claim(self, name: str) -> bool:
        """Have something of that name for this run alone, on this machine; whether no other run has it."""
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0loadtest-{name}")
        except OSError:
            claim.close()
            return False
        self._claims.append(claim)
        return True

    def _claim(self, port: int, host: str) -> bool:
        return port_is_free(port, host) and self.claim(f"port-{port}")


def lasting_ports(ephemeral: Path = EPHEMERAL) -> range:
    """Ports that no outgoing connection is given: the longer range below or above the kernel's; all, if few are left."""
    with suppress(OSError, ValueError):
        first, last = (int(part) for part in ephemeral.read_text().split())
        longest = max(range(LOWEST, first), range(last + 1, HIGHEST + 1), key=len)
        if len(longest) > ATTEMPTS:
            return longest
    return range(LOWEST, HIGHEST + 1)
