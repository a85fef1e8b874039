#!/usr/bin/env python3
"""Boots the built image (KERNEL=debian) in qemu and looks at what an owner would see. Firmware, power and the owner are played here.

    test.py [--long] [--only NAME]... [--keep]

--long cuts the power ten times instead of once, and adds updates, the recordings disk and resets: half an hour to an hour under emulation.
What it shows is shown of the root file system and the scripts, not of a Pi: kernel, firmware and speed are others.
"""

import argparse
import datetime
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import faults  # noqa: E402
import machine  # noqa: E402
import scenes  # noqa: E402
import updates  # noqa: E402
from card import ROOT, Card  # noqa: E402

SHORT = [scenes.first_start, scenes.power_cuts]
LONG = [scenes.first_start, scenes.power_cuts, scenes.two_cards, scenes.resets]
LONG += [machine.changed_from_the_page, machine.backed_up, machine.wifi]
LONG += [faults.recordings_disk, faults.clock, faults.altered_root]
LONG += [updates.refused, updates.updated, updates.rolled_back, updates.cut_in_update]


class Stage:
    """Where scenes play: a folder, fresh cards, and what they say."""

    def __init__(self, image, long):
        self.image, self.long = image, long
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="perch-qemu-", dir=ROOT / "target/image"))

    def card(self, name, data=None, size=3 << 30):
        card = Card(self.image, self.folder / f"{name}.img", grow_to=size)
        if data:
            card.fill_data(data)
            shutil.rmtree(data)
        return card

    def say(self, text):
        print(f"    {datetime.datetime.now():%H:%M:%S} {text}", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--long", action="store_true")
    ap.add_argument("--only", action="append", help="a scene's name")
    ap.add_argument("--keep", action="store_true", help="keep cards and consoles")
    ap.add_argument("--image", type=pathlib.Path, default=ROOT / "target/image/debian/perch-qemu.img")
    args = ap.parse_args()
    if not args.image.is_file():
        sys.exit(f"test: {args.image} is missing: run make image KERNEL=debian")
    stage = Stage(args.image, args.long)
    wanted = [s for s in LONG if s.__name__ in args.only] if args.only else LONG if args.long else SHORT
    passed = failed = 0
    for scene in wanted:
        print(f"{scene.__name__}: {scene.__doc__}", flush=True)
        began = time.monotonic()
        try:
            scene(stage)
            passed += 1
            print(f"  ok, {time.monotonic() - began:.0f} s", flush=True)
        except Exception as e:  # whatever it is, the next scene is to be seen too
            failed += 1
            print(f"  FAILED after {time.monotonic() - began:.0f} s: {e!r}".replace("\\n", "\n"), flush=True)
    if args.keep or failed:
        print(f"consoles and cards are in {stage.folder}")
    else:
        shutil.rmtree(stage.folder)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
