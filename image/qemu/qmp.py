"""qemu's own control channel (QMP, docs/interop/qmp-spec): what a hand does at the box while it runs."""

import json
import socket

from box import Failed


def ask(box, *commands):
    """Has qemu do these one after another; each is a name and its arguments."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(box.qmp_path)
        lines = s.makefile("rw")
        lines.readline()
        for name, arguments in (("qmp_capabilities", {}), *commands):
            lines.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
            lines.flush()
            # Events come in between.
            while not {"return", "error"} & (answer := json.loads(lines.readline())).keys():
                pass
            if "error" in answer:
                raise Failed(f"{name}: {answer['error']}")


def plug_in(box, disk):
    """A USB disk, a file, into a box that has a USB controller."""
    drive = {"driver": "raw", "node-name": "plugged", "file": {"driver": "file", "filename": str(disk)}}
    ask(box, ("blockdev-add", drive), ("device_add", {"driver": "usb-storage", "drive": "plugged", "id": "plugged"}))
