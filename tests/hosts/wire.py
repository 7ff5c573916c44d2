"""A wire between two network interfaces that is as long as it is told: `python wire.py IN OUT MILLISECONDS PORT LOSS`.

It takes whole frames from one interface and gives them to the other after a delay, both ways, in order. A share LOSS of them
(0 to 1, each by itself, with a seed that is always the same) gets lost. SIGUSR1 cuts it for TCP's PORT alone (as a firewall
that forgot a connection does: no reset, no error), SIGUSR2 mends it. Root only.
"""

import random
import select
import signal
import socket
import struct
import sys
import time
from collections import deque

ETH_P_ALL, SOL_PACKET, PACKET_VNET_HDR, PACKET_OUTGOING = 0x0003, 263, 15, 4
VNET_HEADER_BYTES = 10
"""Before each frame: what the kernel left undone of it (checksum, segments), which the other side is to take over."""
ETHERNET_BYTES, IPV4, TCP = 14, 0x0800, 6


def tap(interface: str) -> socket.socket:
    """All frames of an interface."""
    found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    found.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    found.bind((interface, ETH_P_ALL))
    found.setblocking(False)
    return found


def is_of_port(frame: bytes, port: int) -> bool:
    """Whether it belongs to a connection from or to a TCP port."""
    packet = frame[VNET_HEADER_BYTES + ETHERNET_BYTES :]
    (kind,) = struct.unpack_from("!H", frame, VNET_HEADER_BYTES + 12)
    if kind != IPV4 or packet[9] != TCP:
        return False
    return port in struct.unpack_from("!HH", packet, (packet[0] & 15) * 4)


def carry(left: socket.socket, right: socket.socket, delay_s: float, port: int, loss: float) -> None:
    """For ever."""
    cut: list[bool] = []
    signal.signal(signal.SIGUSR1, lambda *_: cut.append(True))
    signal.signal(signal.SIGUSR2, lambda *_: cut.clear())
    under_way: deque[tuple[float, socket.socket, bytes]] = deque()
    dice = random.Random(1)
    other = {left: right, right: left}
    print("carrying", flush=True)
    while True:
        wait_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        for end in select.select([left, right], [], [], wait_s)[0]:
            frame, (_, _, kind, *_) = end.recvfrom(1 << 17)
            if kind == PACKET_OUTGOING or dice.random() < loss:
                continue
            if not (cut and is_of_port(frame, port)):
                under_way.append((time.monotonic() + delay_s, other[end], frame))
        while under_way and under_way[0][0] <= time.monotonic():
            _, end, frame = under_way.popleft()
            end.send(frame)


if __name__ == "__main__":
    carry(tap(sys.argv[1]), tap(sys.argv[2]), float(sys.argv[3]) / 1e3, int(sys.argv[4]), float(sys.argv[5]))
