"""The network as others see it: what qemu has kept of the frames that went over it."""

import struct

# RFC 6762, section 3: the groups that multicast DNS is sent to, as Ethernet addresses.
MDNS_GROUPS = (bytes.fromhex("01005e0000fb"), bytes.fromhex("3333000000fb"))


def frames(path):
    """The Ethernet frames in a capture (pcap, little endian), oldest first."""
    capture, at = path.read_bytes(), 24
    while at + 16 <= len(capture):
        (size,) = struct.unpack_from("<I", capture, at + 8)
        yield capture[at + 16 : at + 16 + size]
        at += 16 + size


def announces(path, *labels):
    """Whether one multicast DNS message names all these labels one after another."""
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels)
    return any(name in frame for frame in frames(path) if frame.startswith(MDNS_GROUPS))
