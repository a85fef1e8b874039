#!/usr/bin/env python3
"""A way between two network namespaces that each have a TAP device: of what goes over it by UDP some is lost, and the rest comes late and in
another order. Each line of standard input sets how: delay and jitter in milliseconds in both directions, the loss in percent towards the
second namespace. Ends with its standard input. Usage: way.py NAMESPACE DEVICE NAMESPACE DEVICE"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP_WITHOUT_INFO = 0x1002
IPV4 = b"\x08\x00"
UDP = 17
LARGEST_BYTES = 65536


def device(namespace: str, name: str) -> int:
    """Enters a namespace and opens its TAP device."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}") as entered:
        if libc.setns(entered.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"no way into {namespace}")
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP_WITHOUT_INFO))
    return tap


def main() -> None:
    first, second = device(*sys.argv[1:3]), device(*sys.argv[3:5])
    delay_ms = jitter_ms = loss_percent = 0.0
    waiting: list[tuple[float, int, int, bytes]] = []
    number = 0
    print("ready", flush=True)
    while True:
        late = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select([first, second, sys.stdin], [], [], late)
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            delay_ms, jitter_ms, loss_percent = map(float, line.split())
        for tap in (first, second):
            if tap not in readable:
                continue
            packet, to = os.read(tap, LARGEST_BYTES), second if tap == first else first
            # What a frame carries stands in its 13th byte, the protocol in the tenth of an IPv4 header.
            is_udp = len(packet) > 34 and packet[12:14] == IPV4 and packet[23] == UDP
            if is_udp and to == second and random.random() * 100 < loss_percent:
                continue
            wait_ms = delay_ms + jitter_ms * random.random() if is_udp else 0.0
            number += 1
            heapq.heappush(waiting, (time.monotonic() + wait_ms / 1000, number, to, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, to, packet = heapq.heappop(waiting)
            try:
                os.write(to, packet)
            except OSError:
                # A device that is down takes nothing.
                pass


main()
