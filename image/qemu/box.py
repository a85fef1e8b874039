"""A box in qemu: starts it from a card by way of the firmware's stand-in, reads its serial console, asks it questions, cuts its power.

Questions go over a second console (hvc0) to a shell that a unit on the kernel's command line starts: nothing in the image is
there for tests.
"""

import base64
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import firmware
from card import BIN

PROBE = """[Unit]
After=basic.target
[Service]
ExecStart=/bin/sh
Environment=SYSTEMD_PAGER=cat SYSTEMD_COLORS=0 TERM=dumb
StandardInput=tty-force
StandardOutput=tty
StandardError=tty
TTYPath=/dev/hvc0
Restart=always
RestartSec=1
"""
# On a busy machine emulated cores are slower than what is waited for here.
PATIENCE = float(os.environ.get("PERCH_QEMU_PATIENCE", "1"))
RESTART = re.compile(r"reboot: Restarting system(?: with command '([^']*)')?")


class Failed(Exception):
    """What was to be seen was not seen."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Box:
    """One machine with one card. Use as a context: it is switched off at the end."""

    def __init__(self, card, serial="00000000c0ffee01", log=None, extra=(), memory=1024):
        self.card, self.serial_number, self.extra, self.memory = card, serial, list(extra), memory
        self.log_path = log or card.path.with_suffix(".log")
        self.https, self.http_port, self.rtsp, self.ssh = free_port(), free_port(), free_port(), free_port()
        self.process, self.serial, self.mark, self.slot = None, "", 0, None
        self.probe_path, self.qmp_path = (str(card.path.with_suffix(s)) for s in (".hvc", ".qmp"))
        self.wire_path = card.path.with_suffix(".pcap")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut_power()

    def start(self, tryboot=False):
        """Power on; returns at once."""
        folder, cmdline, self.slot = firmware.load(self.card, tryboot, self.serial_number)
        unit = base64.b64encode(PROBE.encode()).decode()
        cmdline += f" systemd.set_credential_binary=systemd.extra-unit.perch-probe.service:{unit} systemd.wants=perch-probe.service"
        assert len(cmdline) < 2048, "arm64 takes no longer command line"
        ports = ((self.https, 8443), (self.http_port, 80), (self.rtsp, 8554), (self.ssh, 22))
        forward = ",".join(f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in ports)
        command = [
            *("nice", "-n", "5", BIN / "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", str(self.memory)),
            *("-accel", "tcg,thread=multi", "-display", "none", "-monitor", "none", "-qmp", f"unix:{self.qmp_path},server=on,wait=off", "-no-reboot", "-nodefaults"),
            *("-kernel", folder / "kernel.img", "-initrd", folder / "initrd.img", "-append", cmdline),
            *("-drive", f"file={self.card.path},if=none,id=card,format=raw,discard=unmap", "-device", "virtio-blk-pci,drive=card,romfile="),
            *("-netdev", f"user,id=net,{forward}", "-device", "virtio-net-pci,netdev=net,romfile="),
            *("-object", f"filter-dump,id=wire,netdev=net,file={self.wire_path},maxlen=512"),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci", "-serial", "stdio"),
            *("-chardev", f"socket,id=probe,path={self.probe_path},server=on,wait=off", "-device", "virtconsole,chardev=probe"),
            *self.extra,
        ]
        for path in (self.probe_path, self.qmp_path):
            pathlib.Path(path).unlink(missing_ok=True)
        self.mark, self.started = len(self.serial), time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process):
        with open(self.log_path, "ab", buffering=0) as log:
            while chunk := os.read(process.stdout.fileno(), 65536):
                log.write(chunk)
                self.serial += chunk.decode(errors="replace")

    def cut_power(self):
        """As if the plug were pulled."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process:
            self.process.wait()

    def seconds(self):
        return time.monotonic() - self.started

    def wait_restart(self, timeout):
        """Waits until the box restarts by itself and starts it again as the firmware would; returns whether it asked for a trial."""
        self.wait(lambda: self.process.poll() is not None, timeout, "the box does not restart")
        asked = RESTART.findall(self.serial[self.mark :])
        if not asked:
            raise Failed(f"the box ended without a restart; the console's end:\n{self.serial[-2000:]}")
        tryboot = "tryboot" in asked[-1]
        self.start(tryboot)
        return tryboot

    def wait(self, what, timeout, why):
        until = time.monotonic() + timeout * PATIENCE
        while not (found := what()):
            if time.monotonic() > until:
                raise Failed(f"{why} within {timeout} s; the console's end:\n{self.serial[-1500:]}")
            time.sleep(0.5)
        return found

    def wait_serial(self, pattern, timeout):
        """The first match on the serial console since this start."""
        return self.wait(lambda: re.search(pattern, self.serial[self.mark :]), timeout, f"the console does not show {pattern!r}")

    def run(self, command, timeout=60):
        """The output of a shell command on the box."""
        until = time.monotonic() + timeout * PATIENCE
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Failed(f"the box is off; the console's end:\n{self.serial[-1500:]}")
            try:
                return self._ask(command, until)
            except (OSError, TimeoutError):
                time.sleep(1)
        raise Failed(f"no answer to {command!r} within {timeout} s; the console's end:\n{self.serial[-1500:]}")

    def _ask(self, command, until):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.probe_path)
            token = f"{time.monotonic_ns()}"
            # The marks are put together by the shell, so that an echo of the question is not taken for the answer. First an empty
            # question, again and again: what is sent before there is a shell is kept for it, and the real one must run once.
            self._exchange(s, f"stty -echo -onlcr 2>/dev/null; PS1=; echo '?''{token}'\n", f"?{token}", until, 3)
            text = self._exchange(s, f"echo '<''{token}'; {command}\necho '>''{token}'\n", f">{token}", until, None)
        return text.split(f"<{token}")[1].split(f">{token}")[0].replace("\r", "").strip()

    def _exchange(self, s, question, mark, until, again):
        text, sent = "", 0.0
        while mark not in text:
            now = time.monotonic()
            if now > until:
                raise Failed(f"{question!r} is not answered; so far: {text[-500:]}; the console's end:\n{self.serial[-1500:]}")
            if not sent or (again and now - sent > again):
                s.sendall(question.encode())
                sent = now
            s.settimeout(1)
            try:
                got = s.recv(65536)
            except TimeoutError:
                continue
            if not got:
                raise OSError("closed")
            text += got.decode(errors="replace")
        return text

    def http(self, *asked, **how):
        """(status, body) of a request to the box's API."""
        return self.request(*asked, **how)[:2]

    def request(self, method, path, body=None, token=None, timeout=20, kind="application/json"):
        """(status, body, headers) of it."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        headers = {"Content-Type": kind, "Host": "localhost"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"https://127.0.0.1:{self.https}{path}", data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, context=context, timeout=timeout * PATIENCE) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as e:
            return e.code, e.read(), e.headers

    def healthy(self):
        try:
            return self.http("GET", "/healthz", timeout=10)[0] == 200
        except OSError:
            return False

    def wait_healthy(self):
        self.wait(self.healthy, 300, "/healthz does not answer 200")
        return time.monotonic() - self.started
