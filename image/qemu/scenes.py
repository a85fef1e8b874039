"""Scenes of a box's life: its first start, power cuts, two cards of one file, resets."""

import datetime
import re
import subprocess

from box import Box, Failed
from card import BOOTSEL, ROOT
from owner import CODE, Owner, data_folder
from wire import announces

SETUP = """hostname = "garden"
timezone = "Europe/Berlin"
[ssh]
authorized_key = "{key}"
[admin]
name = "me"
password = "a long enough password"
"""

FILES = "/data/perch/box/recordings/*/*/*.mp4"
CA = "sha256sum /data/perch/box/tls/ca.pem"


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def no_failed_unit(box):
    """systemd has started everything and nothing failed."""
    state = box.run("systemctl is-system-running --wait", timeout=300)
    failed = box.run("systemctl --failed --no-legend --plain")
    if state != "running" or failed:
        why = box.run("journalctl -b -p warning --no-pager -n 25")
        raise Failed(f"systemd is {state}; failed: {failed}\n{why}")


def expect(what, found, wanted):
    if found != wanted:
        raise Failed(f"{what} is {found!r}, not {wanted!r}")


def first_start(stage):
    """A fresh card comes up, shows its code, is paired, streams and records; its root cannot be written; its data have grown."""
    with Box(stage.card("first", data_folder())) as box:
        box.start()
        expect("the slot", box.slot, "a")
        stage.say(f"/healthz answers after {box.wait_healthy():.0f} s")
        no_failed_unit(box)
        stage.say("systemd: running, no failed unit")
        expect("slot and trial", box.run("head -n2 /run/perch/boot"), "slot=a\ntrial=0")
        expect("the root", box.run("findmnt -n -o FSTYPE,SOURCE /").split(), ["erofs", "/dev/dm-0"])
        expect("writing to the root", box.run("touch /usr/x 2>&1 | grep -o 'Read-only file system'"), "Read-only file system")
        size = int(box.run("findmnt -n -b -o SIZE /data"))
        if size < 1 << 30:
            raise Failed(f"the data partition has {size >> 20} MiB of a card of {box.card.path.stat().st_size >> 20}")
        stage.say(f"the data partition grew to {size >> 20} MiB; memory in use: {box.run('free -m 2>/dev/null || grep MemAvail /proc/meminfo')}")
        expect("an SSH server", box.run("systemctl is-active perch-ssh.service"), "inactive")
        owner = Owner(box)
        code = owner.pair()
        stage.say("paired with the code from the serial console")
        expect("a second use of the code", box.http("POST", "/api/v1/pair", {"otp": code, "device_name": "x"})[0] >= 400, True)
        frames = owner.watch(5)
        if frames < 10:
            raise Failed(f"RTSP gave {frames} frames in 5 s")
        stage.say(f"RTSP: {frames} frames in 5 s")
        event = owner.wait_event()
        stage.say(f"motion was recorded: event {event['id']} from {event['start']}")
        for labels in (("_perch", "_tcp"), ("perch-ee01",)):
            if not announces(box.wire_path, *labels):
                raise Failed(f"multicast DNS does not announce {'.'.join(labels)}")
        stage.say("mDNS: the name and _perch._tcp are announced")
        no_failed_unit(box)
        stage.say(f"restarts of perch: {box.run('systemctl show perch -p NRestarts --value')}; {box.run('systemd-analyze time | head -n1')}")


def power_cuts(stage):
    """The power is cut in mid-recording, again and again: the box comes back each time, and what was recorded plays."""
    with Box(stage.card("cuts", data_folder())) as box:
        began = now()
        box.start()
        box.wait_healthy()
        owner = Owner(box)
        owner.pair()
        for cut in range(10 if stage.long else 1):
            at = now()
            owner.wait_recorded(at, 8 + cut % 5)
            box.cut_power()
            box.start()
            after = box.wait_healthy()
            expect("the slot", box.slot, "a")
            kept = owner.plays(at)
            if kept < 20:
                raise Failed(f"of the recording before cut {cut + 1} only {kept} frames are left")
            stage.say(f"cut {cut + 1}: back after {after:.0f} s, {kept} frames of the recording before it play")
        no_failed_unit(box)
        stage.say(f"all in all {owner.plays(began)} frames play")


def two_cards(stage):
    """Two cards of one file, two boards: other names, keys and ids; the owner's file is taken, used and removed.

    The first starts as it was flashed, with the config that it makes itself; the second finds the first card in its card reader.
    """
    key = stage.folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    seen = []
    for number, serial in enumerate(("00000000aaaa1111", "00000000bbbb2222")):
        card = stage.card(f"card{number}", data_folder() if number else None)
        if number == 0:
            extra, first = [], card
        else:
            extra = ["-device", "qemu-xhci", "-drive", f"file={first.path},if=none,id=usb,format=raw", "-device", "usb-storage,drive=usb"]
            card.put(BOOTSEL, "perch-setup.toml", SETUP.format(key=key.with_suffix(".pub").read_text().strip()))
        with Box(card, serial, extra=extra) as box:
            box.start()
            box.wait_healthy()
            no_failed_unit(box)
            expect("the data partition", box.run("findmnt -n -o SOURCE /data"), "/dev/vda7")
            name = box.run("uname -n")
            ca = box.run(CA)
            seen.append((name, ca, box.run("cat /etc/machine-id")))
            stage.say(f"{serial}: {name}, CA {ca[:16]}, machine {seen[-1][2][:8]}")
            if number == 0:
                expect("the name", name, "perch-1111")
                Owner(box).pair()
                continue
            expect("the other card", box.run("ls /sys/class/block/sda/sda7/partition"), "/sys/class/block/sda/sda7/partition")
            expect("the slots", box.run("readlink -f /dev/perch/5 /dev/perch/6").split(), ["/dev/vda5", "/dev/vda6"])
            expect("the name", name, "garden")
            expect("the time zone", box.run("date +%Z")[:2], "CE")
            expect("the owner's file", card.read(BOOTSEL, "perch-setup.toml"), None)
            body = {"username": "me", "password": "a long enough password"}
            expect("signing in", box.http("POST", "/api/v1/session", body)[0], 204)
            expect("the SSH server", box.run("systemctl is-active perch-ssh.service"), "active")
            command = ["ssh", "-i", key, "-p", str(box.ssh), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
            done = subprocess.run([*command, "-o", "LogLevel=ERROR", "root@127.0.0.1", "id -u"], capture_output=True, text=True, timeout=120)
            expect("a shell by the owner's key", done.stdout.strip() or done.stderr, "0")
    for what, one, two in zip(("names", "CAs", "machine ids"), *seen):
        if one == two:
            raise Failed(f"both cards have the same {what}: {one}")


def resets(stage):
    """An empty file on the FAT partition makes the box forget its accounts, or everything; it shows a new code."""
    card = stage.card("reset", data_folder())
    with Box(card) as box:
        box.start()
        box.wait_healthy()
        owner = Owner(box)
        owner.pair()
        owner.wait_recorded(now(), 5)
        ca, files = box.run(CA), set(box.run(f"ls {FILES}").split())
        for what in ("accounts", "everything"):
            box.cut_power()
            card.put(BOOTSEL, f"perch-reset-{what}", "")
            box.start()
            box.wait_healthy()
            box.wait_serial(CODE, 120)
            expect("the file that asked for it", card.read(BOOTSEL, f"perch-reset-{what}"), None)
            expect("the old device", box.http("GET", "/api/v1/me", token=owner.token)[0], 401)
            if not re.search("reset", box.serial[box.mark :], re.I):
                raise Failed("the console says nothing of the reset")
            owner = Owner(box)
            owner.pair()
            no_failed_unit(box)
            kept = files & set(box.run(f"ls {FILES} 2>/dev/null").split())
            expect("recordings are kept", len(kept) > 0, what == "accounts")
            expect("the keys are kept", box.run(CA) == ca, what == "accounts")
            stage.say(f"{what} forgotten, paired again; {len(kept)} of {len(files)} files of recordings kept")
