"""Scenes of updates: what is refused, what is taken, what goes back by itself. The firmware's tryboot is played by firmware.py."""

import functools
import json
import re
import subprocess

from box import Box, Failed
from card import BIN, BOOTSEL, ROOT
from owner import Owner, data_folder
from scenes import expect, no_failed_unit
from server import Server

NEW, BROKEN, OLD = "0.90.0", "0.91.0", "0.0.9"
BUNDLES = "/run/bundles"


def make(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{command[0]}: {done.stdout[-500:]}{done.stderr[-500:]}")


@functools.cache
def bundles(folder):
    """A disk with the bundles, and new.raucb by itself."""
    files = folder / "bundles"
    files.mkdir()
    for kind, version in (("new", NEW), ("broken", BROKEN)):
        make("image/qemu/variant", kind, version, folder / kind)
        make("image/bundle", "--version", version, "--folder", folder / kind, files / f"{kind}.raucb")
    make("image/bundle", "--version", OLD, "--folder", folder / "new", files / "older.raucb")
    data = bytearray((files / "new.raucb").read_bytes())
    # One bit in the middle of the root file system; and one in the signed part at the end.
    tampered, signature = bytearray(data), bytearray(data)
    tampered[len(data) // 2] ^= 1
    signature[-200] ^= 1
    (files / "tampered.raucb").write_bytes(tampered)
    (files / "forged.raucb").write_bytes(signature)
    disk = folder / "bundles.img"
    size = sum(f.stat().st_size for f in files.iterdir()) // 2**20 + 64
    subprocess.run([BIN / "mke2fs", "-q", "-t", "ext4", "-d", files, disk, f"{size}M"], check=True)
    return disk, files


def box_with_bundles(stage, name):
    disk, _ = bundles(stage.folder)
    extra = ["-drive", f"file={disk},if=none,id=bundles,format=raw,readonly=on", "-device", "virtio-blk-pci,drive=bundles,romfile="]
    return Box(stage.card(name, data_folder()), extra=extra)


def up(box):
    box.wait_healthy()
    box.run(f"mkdir -p {BUNDLES}; mount -t ext4 -o ro,noload /dev/vdb {BUNDLES} 2>/dev/null; true")


def install(box, source):
    """(exit code, what was said) of an installation by perch, of a file or an address."""
    text = box.run(f"perch update {source} 2>&1; echo code=$?", timeout=900)
    code = int(re.findall(r"code=(\d+)", text)[-1])
    return code, text


def trust(box, server):
    """Has the box trust the server's certificate, as if a public authority had given it."""
    for line in server.certificate.read_text().splitlines():
        box.run(f"echo '{line}' >>/run/authority.pem")
    box.run("mount --bind /run/authority.pem /etc/ssl/certs/ca-certificates.crt; systemctl try-restart rauc.service")


def autoboot(card):
    return card.read(BOOTSEL, "autoboot.txt").decode()


def last(box):
    """How the last update ended, once that is written."""
    box.wait(lambda: box.run("test ! -e /data/update/trial && test -e /data/update/last && echo there") == "there", 60, "no outcome")
    return dict(line.split("=", 1) for line in box.run("cat /data/update/last").splitlines())


def upload(box, owner, name, folder):
    """Uploads and installs by the API, as the page does."""
    status, body = box.http("POST", "/api/v1/update", (folder / f"{name}.raucb").read_bytes(), owner.token, 900, "application/octet-stream")
    if status != 201:
        raise Failed(f"the upload is refused with {status}: {body[:300]}")
    status, body = box.http("POST", "/api/v1/update/install", {}, owner.token, 300)
    if status != 202:
        raise Failed(f"the installation is refused with {status}: {body[:300]}")


def refused(stage):
    """A tampered bundle, a forged one and an older one are refused with a sentence, and nothing changes."""
    with box_with_bundles(stage, "refused") as box:
        box.start()
        up(box)
        before = autoboot(box.card)
        reasons = {"tampered": "could not be installed.*Input/output", "forged": "signature", "older": "older|newer"}
        for name, why in reasons.items():
            code, said = install(box, f"{BUNDLES}/{name}.raucb")
            stage.say(f"{name}: {said.splitlines()[-2][:200] if len(said.splitlines()) > 1 else said}")
            if code == 0 or not re.search(why, said):
                raise Failed(f"the {name} bundle: {said}")
        # Beside perch, by whoever has a shell: RAUC itself knows which is older.
        said = box.run(f"rauc install {BUNDLES}/older.raucb 2>&1; echo code=$?", timeout=300)
        if "code=0" in said or not re.search("version", said, re.I):
            raise Failed(f"RAUC by itself takes the older bundle: {said}")
        stage.say(f"older, by RAUC alone: {said.splitlines()[-2][:200]}")
        expect("autoboot.txt", autoboot(box.card), before)
        expect("perch", box.run("systemctl is-active perch"), "active")


def updated(stage):
    """A new bundle is uploaded as the page does it, installed, starts on trial, proves itself, and stays."""
    with box_with_bundles(stage, "updated") as box:
        box.start()
        up(box)
        owner = Owner(box)
        owner.pair()
        upload(box, owner, "new", bundles(stage.folder)[1])
        stage.say(f"uploaded and checked after {box.seconds():.0f} s")
        expect("a restart by tryboot", box.wait_restart(900), True)
        expect("the slot", box.slot, "b")
        up(box)
        expect("the version", box.run("sed -n s/^IMAGE_VERSION=//p /etc/os-release"), NEW)
        box.wait(lambda: autoboot(box.card).count("boot_partition=3") == 2, 240, "the new slot is not committed")
        stage.say(f"committed {box.seconds():.0f} s after its start")
        outcome = last(box)
        expect("the outcome", (outcome["outcome"], outcome["version"]), ("updated", NEW))
        no_failed_unit(box)
        code, said = install(box, f"{BUNDLES}/new.raucb")
        if code == 0 or "runs here already" not in said:
            raise Failed(f"the same version once more: {said}")
        box.cut_power()
        box.start()
        expect("the slot after a power cut", box.slot, "b")
        box.wait_healthy()


def rolled_back(stage):
    """A bundle from an address whose perch cannot start goes back by itself within 3 minutes, with the reason."""
    _, files = bundles(stage.folder)
    with Box(stage.card("rolled-back", data_folder())) as box, Server(files, stage.folder) as server:
        box.start()
        box.wait_healthy()
        owner = Owner(box)
        owner.pair()
        trust(box, server)
        code, said = install(box, f"{server.url}/broken.raucb")
        if code:
            raise Failed(f"the bundle is refused: {said}")
        stage.say(f"streamed in {len(server.ranges)} pieces")
        expect("a restart by tryboot", box.wait_restart(180), True)
        expect("the slot", box.slot, "b")
        tried = box.started
        expect("how it goes back", box.wait_restart(300), False)
        if (took := box.started - tried) > 190:
            raise Failed(f"it goes back only after {took:.0f} s")
        stage.say(f"it goes back after {took:.0f} s")
        expect("the slot", box.slot, "a")
        box.wait_healthy()
        outcome = last(box)
        stage.say(f"{outcome['outcome']}: {outcome['reason']}")
        expect("the outcome", (outcome["outcome"], outcome["version"]), ("rolled_back", BROKEN))
        if "perch did not start" not in outcome["reason"]:
            raise Failed(f"the reason is {outcome['reason']!r}")
        status, body = box.http("GET", "/api/v1/update", token=owner.token)
        stage.say(f"the page sees: {status} {json.dumps(json.loads(body))[:300] if status == 200 else body[:200]}")
        no_failed_unit(box)


def cut_in_update(stage):
    """The power is cut while an update is installed, and again while the new version is tried: the old one comes back each time."""
    with box_with_bundles(stage, "cut") as box:
        box.start()
        up(box)
        Owner(box).pair()
        box.run(f"systemd-run --unit=install perch update {BUNDLES}/new.raucb")
        writing = "journalctl -u install --no-pager | grep -c 'Copying image'"
        box.wait(lambda: box.run(writing) != "0", 300, "the installation does not begin to write")
        box.cut_power()
        box.start()
        expect("the slot after a cut in the installation", box.slot, "a")
        up(box)
        no_failed_unit(box)
        stage.say("cut while the other slot was written: the old version is back")
        code, said = install(box, f"{BUNDLES}/new.raucb")
        if code:
            raise Failed(f"after a cut the bundle is refused: {said}")
        expect("a restart by tryboot", box.wait_restart(180), True)
        expect("the slot", box.slot, "b")
        box.wait(lambda: box.run("grep -c started=1 /data/update/trial", timeout=180) == "1", 180, "the trial is not noted")
        box.cut_power()
        box.start()
        expect("the slot after a cut in the trial", box.slot, "a")
        box.wait_healthy()
        outcome = last(box)
        stage.say(f"cut in the trial: {outcome['outcome']}: {outcome['reason']}")
        if outcome["outcome"] != "rolled_back" or "before the new version had proved itself" not in outcome["reason"]:
            raise Failed(f"the outcome is {outcome}")
        no_failed_unit(box)
