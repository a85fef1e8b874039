"""Scenes of what is missing, wrong or broken: the disk for recordings, the clock, a byte of the root."""

import datetime
import json
import subprocess

from box import Box, Failed
from card import ROOT, ROOT_A, SECTOR
from owner import Owner, data_folder
from qmp import plug_in
from scenes import FILES, expect, no_failed_unit, now


def recordings_disk(stage):
    """A disk labelled perch-recordings takes the recordings; once used and gone, nothing falls through to the card."""
    disk = stage.folder / "usb.img"
    subprocess.run([ROOT / "target/image/bin/mke2fs", "-q", "-t", "ext4", "-L", "perch-recordings", disk, "600M"], check=True)
    usb = ["-device", "qemu-xhci"]
    with Box(stage.card("disk", data_folder()), extra=usb) as box:
        box.start()
        box.wait_healthy()
        plug_in(box, disk)
        box.wait(lambda: "/dev/sda" in box.run("findmnt -n -o SOURCE /data/perch/box/recordings"), 120, "the disk is not taken")
        stage.say("plugged in while it runs: recordings go there")
        box.wait_healthy()
        no_failed_unit(box)
        expect("the recordings' file system", box.run("findmnt -n -o SOURCE /data/perch/box/recordings"), "/dev/sda")
        owner = Owner(box)
        owner.pair()
        began = now()
        owner.wait_recorded(began, 10)
        files = int(box.run(f"ls {FILES} 2>/dev/null | wc -l"))
        stage.say(f"{files} files on the disk")
        box.cut_power()
        box.start()
        box.wait_healthy()
        mounted = box.run("findmnt -n -o FSTYPE,SOURCE /data/perch/box/recordings").split()
        expect("what stands in for the disk", mounted, ["tmpfs", "perch-recordings-missing"])
        box.run("sleep 20")
        problem = json.loads(owner.get("/api/v1/status"))["disk"]["problem"]
        stage.say(f"without it: {problem}")
        if "disk for recordings is missing" not in problem:
            raise Failed(f"the status says of the disk: {problem!r}")
        fallen = box.run(f"systemctl stop perch; umount /data/perch/box/recordings; ls {FILES} 2>/dev/null", timeout=120)
        expect("files that fell through to the card", fallen, "")
        box.run("systemctl start perch-recordings perch", timeout=120)
        plug_in(box, disk)
        box.wait(lambda: "/dev/sda" in box.run("findmnt -n -o SOURCE /data/perch/box/recordings"), 120, "the disk is not taken again")
        box.wait_healthy()
        if (again := owner.plays(began)) < 40:
            raise Failed(f"of what was on the disk only {again} frames play")
        stage.say(f"plugged in again: all in all {again} frames play")


def clock(stage):
    """A board without a clock: never before the build, then never before the last time known; untrusted until synchronised."""
    early = ["-rtc", "base=2020-01-01T00:00:00"]
    with Box(stage.card("clock", data_folder()), extra=early) as box:
        box.start()
        box.wait_healthy()
        built, time = (int(box.run(c)) for c in ("stat -c %Y /usr/lib/clock-epoch", "date +%s"))
        if not built <= time < built + 900:
            raise Failed(f"the clock says {time}; the build was at {built}")
        owner = Owner(box)
        owner.pair()
        trusted = lambda: json.loads(owner.get("/api/v1/status"))["clock"]["synchronised"]  # noqa: E731
        expect("the clock is trusted", trusted(), False)
        # There is no time server here: what the system's own service leaves when it has reached one.
        box.run("touch /run/systemd/timesync/synchronized")
        expect("the clock is trusted once it is synchronised", trusted(), True)
        later = built + 400 * 86400
        box.run(f"touch -d @{later} /data/etc/timesync/clock; sync")
        box.cut_power()
        box.start()
        box.wait_healthy()
        time = int(box.run("date +%s"))
        if not later <= time < later + 900:
            raise Failed(f"the clock says {time}; the last time known was {later}")
        no_failed_unit(box)
        stage.say(f"the build's time, then the last one known: {datetime.datetime.fromtimestamp(time, datetime.timezone.utc)}")


def altered_root(stage):
    """One byte of the root file system is another: the box does not start it."""
    card = stage.card("altered")
    with open(card.path, "r+b") as f:
        # Of the superblock, which is read first of all.
        f.seek(card.partitions()[ROOT_A][0] * SECTOR + 1024 + 16)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))
    with Box(card) as box:
        box.start()
        box.wait_serial(r"verity.*corrupted", 120)
        box.wait_serial("the root of slot a cannot be mounted", 60)
        box.wait(lambda: box.process.poll() is not None, 60, "the box does not start again")
        stage.say("dm-verity refuses it; the box starts again")
