"""A card as a file: its partitions, the FAT files on it, and a fresh data partition. Nothing is mounted."""

import pathlib
import shutil
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "target/image/bin"
BOOTSEL, BOOT_A, BOOT_B, ROOT_A, ROOT_B, DATA = 1, 2, 3, 5, 6, 7
SECTOR = 512


class Card:
    """One flashed card. `image` is what was built; `path` becomes this card's own copy."""

    def __init__(self, image, path, grow_to=None):
        self.path = pathlib.Path(path)
        subprocess.run(["cp", "--sparse=always", image, self.path], check=True)
        if grow_to:
            # A card is larger than its image; the box makes use of that at its first start.
            with open(self.path, "r+b") as f:
                f.truncate(grow_to)

    def partitions(self):
        """{number: (first sector, sectors)}, from the MBR and the chain of extended boot records."""
        found = {}
        with open(self.path, "rb") as f:

            def entries(sector):
                f.seek(sector * SECTOR)
                block = f.read(SECTOR)
                assert block[510:] == b"\x55\xaa", f"no partition table in sector {sector}"
                return [struct.unpack_from("<B3xB3xII", block, 446 + 16 * i)[1:] for i in range(4)]

            extended = None
            for number, (kind, start, size) in enumerate(entries(0), 1):
                if kind:
                    found[number] = (start, size)
                if kind in (0x05, 0x0F):
                    extended = start
            at, number = extended, 5
            while at:
                (kind, start, size), (_, following, _) = entries(at)[:2]
                if kind:
                    found[number] = (at + start, size)
                at, number = (extended + following if following else None), number + 1
        return found

    def _fat(self, number):
        return f"{self.path}@@{self.partitions()[number][0] * SECTOR}"

    def read(self, number, name):
        """A file of a FAT partition, or None where there is none."""
        done = subprocess.run([BIN / "mtype", "-i", self._fat(number), f"::{name}"], capture_output=True)
        return done.stdout if done.returncode == 0 else None

    def copy_out(self, number, name, to):
        subprocess.run([BIN / "mcopy", "-n", "-o", "-i", self._fat(number), f"::{name}", to], check=True)

    def put(self, number, name, text):
        """Writes a file onto a FAT partition, as an owner does on a computer."""
        subprocess.run([BIN / "mcopy", "-o", "-i", self._fat(number), "-", f"::{name}"], input=text.encode(), check=True)

    def fill_data(self, folder):
        """Makes the data partition again, with the files of `folder`."""
        start, size = self.partitions()[DATA]
        image = self.path.with_suffix(".data")
        image.unlink(missing_ok=True)
        command = [BIN / "mke2fs", "-q", "-t", "ext4", "-L", "perch-data", "-m", "0", "-E", "root_owner=0:0", "-d", folder]
        subprocess.run([*command, image, f"{size * SECTOR // 1024}k"], check=True)
        subprocess.run(["dd", f"if={image}", f"of={self.path}", "bs=512", f"seek={start}", "conv=notrunc,sparse", "status=none"], check=True)
        image.unlink()

    def remove(self):
        self.path.unlink(missing_ok=True)
        shutil.rmtree(self.path.with_suffix(".boot"), ignore_errors=True)
