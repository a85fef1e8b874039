"""Plays a Pi's firmware for qemu: what would start the kernel on the board is done here, by the same files on the card.

What it does like the firmware: reads autoboot.txt on the first partition, takes `[tryboot]` once when the last restart asked for
it, loads kernel, initramfs and cmdline.txt from the partition named there. What it does not: config.txt, overlays, device
trees, the board's serial number and the partition number in the device tree; those two go onto the kernel's command line.
"""

from card import BOOT_A, BOOT_B, BOOTSEL


def boot_partition(card, tryboot):
    """The partition that autoboot.txt names."""
    section, found = "all", {}
    for line in card.read(BOOTSEL, "autoboot.txt").decode().splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif line.startswith("boot_partition="):
            found[section] = int(line.split("=")[1])
    if tryboot and "tryboot" in found:
        return found["tryboot"]
    return found.get("all", BOOTSEL)


def load(card, tryboot, serial):
    """(folder with kernel.img and initrd.img, command line, slot) of the next start."""
    number = boot_partition(card, tryboot)
    slot = {BOOT_A: "a", BOOT_B: "b"}[number]
    folder = card.path.with_suffix(".boot")
    folder.mkdir(exist_ok=True)
    for name in ("kernel.img", "initrd.img"):
        card.copy_out(number, name, folder / name)
    cmdline = card.read(number, "cmdline.txt").decode().strip()
    return folder, f"{cmdline} perch.slot={slot} perch.serial={serial}", slot
