"""What an owner does with a box: pairs with the code on the console, watches, looks back. Each fails with a sentence."""

import datetime
import json
import pathlib
import re
import subprocess
import tempfile
import time

from box import Failed

# A camera that emulated cores keep up with; everything else as on any box.
CONFIG = """[box]
data_dir = "/data/perch/box"
[http]
hostnames = ["localhost"]
plain_listen = "0.0.0.0:80"
[recording]
min_free_bytes = 104857600
[[camera]]
id = "test"
source = "test"
width = 320
height = 240
fps = 8
bitrate_kbps = 200
sub = { width = 160, height = 120, fps = 4, bitrate_kbps = 100 }
record = { mode = "continuous", segment_max_s = 15, post_roll_s = 2, gap_s = 3 }
motion = { fps = 5 }
"""
CODE = r"One-time password: (\d+) (\d+)"


def data_folder():
    """Files for the data partition: the small camera's config."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="perch-data-"))
    (folder / "perch").mkdir()
    (folder / "perch/perch.toml").write_text(CONFIG)
    return folder


class Owner:
    """Someone with a paired device."""

    def __init__(self, box):
        self.box, self.token = box, None

    def pair(self):
        """With the last code that the serial console shows."""
        self.box.wait_serial(CODE, 300)
        code = "".join(re.findall(CODE, self.box.serial[self.box.mark :])[-1])
        status, body = self.box.http("POST", "/api/v1/pair", {"otp": code, "device_name": "test"})
        if status != 201:
            raise Failed(f"pairing answers {status}: {body[:300]}")
        self.token = json.loads(body)["token"]
        return code

    def sign_in(self, name, password):
        status, body, headers = self.box.request("POST", "/api/v1/session", {"username": name, "password": password})
        if status != 204:
            raise Failed(f"signing in answers {status}: {body[:300]}")
        self.token = re.search(r"__Host-perch=([^;]+)", headers["Set-Cookie"])[1]

    def get(self, path):
        status, body = self.box.http("GET", path, token=self.token, timeout=60)
        if status not in (200, 206):
            raise Failed(f"GET {path} answers {status}: {body[:300]}")
        return body

    def ask(self, method, path, body=None):
        """The answer to what an owner asks for, as JSON."""
        status, answer = self.box.http(method, path, body, token=self.token, timeout=120)
        if status not in (200, 201, 202, 204):
            raise Failed(f"{method} {path} answers {status}: {answer[:300]}")
        return json.loads(answer) if answer else None

    def watch(self, seconds=5):
        """Frames of the test camera that ffmpeg decodes in so many seconds over RTSP."""
        status, body = self.box.http("POST", "/api/v1/stream-passwords", {"name": f"tv{time.time_ns()}"}, token=self.token)
        if status != 201:
            raise Failed(f"a stream password is refused with {status}: {body[:300]}")
        made = json.loads(body)
        url = f"rtsp://{made['name']}:{made['password']}@127.0.0.1:{self.box.rtsp}/test"
        command = ["ffmpeg", "-loglevel", "error", "-rtsp_transport", "tcp", "-i", url, "-t", str(seconds), "-f", "null", "-progress", "-", "-"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        frames = re.findall(r"^frame=(\d+)", done.stdout, re.M)
        return int(frames[-1]) if frames else 0

    def timeline(self, since):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
        return json.loads(self.get(f"/api/v1/cameras/test/timeline?from={stamp(since)}&to={stamp(now)}"))

    def wait_recorded(self, since, seconds, timeout=300):
        """Waits until so many seconds since `since` are recorded."""

        def enough():
            return recorded_s(self.timeline(since)) >= seconds

        self.box.wait(enough, timeout, f"{seconds} s are not recorded")

    def wait_event(self, timeout=300):
        found = self.box.wait(lambda: json.loads(self.get("/api/v1/events?camera=test"))["events"], timeout, "no motion event")
        return found[0]

    def took_in(self):
        return json.loads(self.get("/api/v1/status"))["disk"]["taking_in"] is None

    def plays(self, since):
        """Decodes everything recorded since then without an error; returns its frames."""
        # After a start the box is there at once; what a power cut left without a row is taken in beside that.
        self.box.wait(self.took_in, 300, "the recordings are not held against the index")
        frames = 0
        for span in self.timeline(since)["spans"]:
            start, end = parse(span["start"]), parse(span["end"])
            if (end - start).total_seconds() < 1:
                continue
            file = pathlib.Path(tempfile.mkstemp(suffix=".mp4")[1])
            file.write_bytes(self.get(f"/api/v1/cameras/test/export.mp4?from={stamp(start)}&to={stamp(end)}"))
            command = ["ffmpeg", "-loglevel", "error", "-xerror", "-i", file, "-f", "null", "-progress", "-", "-"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            file.unlink()
            if done.returncode or done.stderr.strip():
                raise Failed(f"a recorded span {span} does not play: {done.stderr[:300]}")
            frames += int(re.findall(r"^frame=(\d+)", done.stdout, re.M)[-1])
        return frames


def recorded_s(timeline):
    return sum((parse(s["end"]) - parse(s["start"])).total_seconds() for s in timeline["spans"])


def stamp(at):
    return at.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text):
    return datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00"))
