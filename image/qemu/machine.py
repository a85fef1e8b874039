"""Scenes of what an owner changes of the system from the page: name, zone, SSH, Wi-Fi, restarts, a backup put back."""

import base64
import json
import socket
import ssl
import subprocess
import urllib.request

from box import Box, Failed
from owner import Owner, data_folder
from scenes import expect, no_failed_unit, now

# Two radios, of which the second is somebody's access point: networkd gives the first an address once it is joined.
RADIOS = """cat >/run/ap.conf <<'END'
ap_scan=2
network={
  ssid="Attic"
  mode=2
  frequency=2412
  key_mgmt=WPA-PSK
  proto=RSN
  pairwise=CCMP
  psk="the right password"
}
END
mkdir -p /run/systemd/network
printf '[Match]\\nName=wlan0\\n[Network]\\nAddress=10.9.0.2/24\\n' >/run/systemd/network/10-air.network
networkctl reload
systemctl mask --runtime perch-wifi@wlan1.service
modprobe mac80211_hwsim radios=2
for i in $(seq 30); do [ ! -e /sys/class/net/wlan1 ] || break; sleep 1; done
wpa_supplicant -B -i wlan1 -c /run/ap.conf"""
UP = "sed -n s/^OPER_STATE=//p /run/systemd/netif/links/$(cat /sys/class/net/wlan0/ifindex)"


def paired(box):
    """An owner of a box that came up."""
    box.start()
    box.wait_healthy()
    owner = Owner(box)
    owner.pair()
    return owner


def change(owner, wanted, until=lambda facts: True, timeout=60):
    """Asks for a change of the system and waits until root said that it was made; returns what the page shows then."""
    before = (owner.ask("GET", "/api/v1/system")["last"] or {}).get("at")
    owner.box.run("sleep 1")  # root's word has whole seconds
    owner.ask("PATCH", "/api/v1/system", wanted)

    def done():
        facts = owner.ask("GET", "/api/v1/system")
        last = facts["last"]
        return facts if last and last["at"] != before and until(facts) else None

    return owner.box.wait(done, timeout, f"{wanted} is not done: {owner.box.run('cat /run/perch-system/wished')}")


def names(owner):
    return {name for one in owner.ask("GET", "/api/v1/certificate")["certificates"] for name in one["names"]}


def shown_to(box, name):
    """Whether a browser that trusts the box's authority takes its certificate under this name."""
    authority = box.http("GET", "/api/v1/ca.pem")[1].decode()
    context = ssl.create_default_context(cadata=authority)
    try:
        with socket.create_connection(("127.0.0.1", box.https), 20) as s, context.wrap_socket(s, server_hostname=name):
            return True
    except ssl.SSLCertVerificationError:
        return False


def ssh(box, key):
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=20")
    command = ["ssh", "-i", key, "-p", str(box.ssh), *(part for option in options for part in ("-o", option)), "root@127.0.0.1", "id -u"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout.strip()


def plain_page(box, name):
    request = urllib.request.Request(f"http://127.0.0.1:{box.http_port}/", headers={"Host": name})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, answer.read().decode()


def changed_from_the_page(stage):
    """Name, time zone and SSH key are changed over the API and hold at once and after a restart; perch restarts alone; the box is switched off."""
    key = stage.folder / "page"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    with Box(stage.card("page", data_folder())) as box:
        owner = paired(box)
        pid = "$(systemctl show perch -p MainPID --value)"
        expect("what perch may do beyond a user", box.run(f"sed -n s/^CapEff:.//p /proc/{pid}/status"), "0000000000000400")
        status, page = plain_page(box, "perch-ee01.local")
        expect("the plain page", (status, "https://perch-ee01.local:8443" in page, "<script" in page), (200, True, False))
        stage.say("port 80 answers with the plain page, by the one capability that perch has")

        began = now()
        facts = change(owner, {"hostname": "shop", "time_zone": "Asia/Kolkata", "ssh_key": public})
        stage.say(f"root says: {facts['last']['said']}")
        for what, want in (("hostname", "shop"), ("time_zone", "Asia/Kolkata")):
            box.wait(lambda: owner.ask("GET", "/api/v1/system")[what] == want, 30, f"the page does not show {want}")
        expect("the SSH key's kind", facts["ssh_key"].split()[0], "ssh-ed25519")
        box.wait(lambda: ssh(box, key) == "0", 60, "the new key opens no shell")
        box.wait(lambda: "shop.local" in names(owner), 90, "the certificate does not name shop.local")
        expect("TLS as shop.local", (shown_to(box, "shop.local"), shown_to(box, "perch-ee01.local")), (True, False))
        expect("the plain page's way on", "https://shop.local:8443" in plain_page(box, "shop.local")[1], True)
        expect("schedules' zone", owner.ask("GET", "/api/v1/modes")["time_zone"], "Asia/Kolkata")
        expect("recording went on", box.run("systemctl show perch -p NRestarts --value"), "0")
        stage.say(f"name, zone, key and certificate hold after {(now() - began).total_seconds():.0f} s, without a restart")
        for wrong in ({"hostname": "a b"}, {"time_zone": "Mars/Base"}, {"ssh_key": "ssh-ed25519 nonsense"}):
            status, body = box.http("PATCH", "/api/v1/system", wrong, token=owner.token)
            if status == 202:
                found = box.wait(lambda: owner.ask("GET", "/api/v1/system")["last"]["said"], 30, "nothing is said")
                raise Failed(f"{wrong} is taken: {found}")
            stage.say(f"{wrong}: {status} {json.loads(body).get('detail')}")

        run = box.run("systemctl show perch -p InvocationID --value")
        owner.ask("POST", "/api/v1/system/restart")
        box.wait(lambda: box.run("systemctl show perch -p InvocationID --value") != run, 60, "perch does not end")
        box.wait_healthy()
        stage.say("perch alone was started again")
        owner.ask("POST", "/api/v1/system/reboot")
        expect("it asks for a trial", box.wait_restart(180), False)
        stage.say(f"the system is back after {box.wait_healthy():.0f} s")
        facts = owner.ask("GET", "/api/v1/system")
        expect("name and zone", (facts["hostname"], facts["time_zone"]), ("shop", "Asia/Kolkata"))
        expect("the system's clock", box.run("date +%Z"), "IST")
        expect("schedules' zone", owner.ask("GET", "/api/v1/modes")["time_zone"], "Asia/Kolkata")
        expect("TLS as shop.local", shown_to(box, "shop.local"), True)
        box.wait(lambda: ssh(box, key) == "0", 60, "the new key opens no shell")
        no_failed_unit(box)
        change(owner, {"ssh_key": ""})
        box.wait(lambda: box.run("systemctl is-active perch-ssh.service") == "inactive", 30, "SSH goes on")
        expect("a shell without a key", ssh(box, key), "")
        owner.ask("POST", "/api/v1/system/shutdown")
        box.wait(lambda: box.process.poll() is not None, 120, "the box does not switch itself off")
        expect("how it ended", "reboot: Power down" in box.serial[box.mark :], True)
        stage.say("SSH switched off, the box too")


def backed_up(stage):
    """A backup is put in place at the next start: settings of then, people of then, and recordings stay."""
    with Box(stage.card("backup", data_folder())) as box:
        owner = paired(box)
        began = now()
        password = "a long enough password"
        owner.ask("POST", "/api/v1/users", {"name": "Anna", "password": password, "role": "admin"})
        owner.ask("PATCH", "/api/v1/cameras/test", {"name": "Porch"})
        owner.wait_recorded(began, 10)
        status, file = box.http("POST", "/api/v1/backup", {"password": password}, token=owner.token, timeout=120)
        expect("making a backup", status, 200)
        owner.ask("PATCH", "/api/v1/cameras/test", {"name": "Garage"})
        owner.ask("POST", "/api/v1/users", {"name": "Eve", "password": password, "role": "viewer"})
        body = {"password": password, "file": base64.b64encode(file).decode()}
        restored = owner.ask("POST", "/api/v1/backup/restore", body)
        expect("what is put back", (restored["cameras"], restored["accounts"], restored["restarts"]), (["Porch"], 1, True))
        box.wait(lambda: box.http("GET", "/api/v1/me", token=owner.token)[0] == 401 if box.healthy() else False, 120, "the device of before still counts")
        owner.sign_in("Anna", password)
        expect("the camera's name", [c["name"] for c in owner.ask("GET", "/api/v1/cameras")["cameras"]], ["Porch"])
        expect("the accounts", [u["name"] for u in owner.ask("GET", "/api/v1/users")["users"]], ["Anna"])
        no_failed_unit(box)
        stage.say(f"put back, signed in again; {owner.plays(began)} frames from before play")


def wifi(stage):
    """A Wi-Fi network is joined; one that cannot be gives way to the one before, also where the power goes; without a device it is said."""
    wanted = {"ssid": "Attic", "password": "the right password", "country": "CH"}
    tried = lambda facts: facts["last"]["wifi"] not in (None, "trying")  # noqa: E731
    with Box(stage.card("wifi", data_folder())) as box:
        owner = paired(box)
        facts = change(owner, {"wifi": wanted}, tried)
        expect("without a device", (facts["last"]["wifi"], facts["ssid"]), ("absent", None))
        expect("what is left of it", box.run("ls /data/etc | grep wpa"), "")
        stage.say("without a device: said, and not kept")
        box.run(RADIOS, timeout=120)
        facts = change(owner, {"wifi": wanted}, tried, 120)
        expect("joined", (facts["last"]["wifi"], facts["ssid"], box.run(UP)), ("up", "Attic", "routable"))
        kept = box.run("sha256sum /data/etc/wpa_supplicant.conf")
        stage.say("joined")
        began = now()
        facts = change(owner, {"wifi": {**wanted, "password": "the wrong password"}}, tried, 180)
        expect("with a wrong password", (facts["last"]["wifi"], facts["ssid"]), ("back", "Attic"))
        box.wait(lambda: box.run(UP) == "routable", 60, "the network before is not joined again")
        expect("the network before", box.run("sha256sum /data/etc/wpa_supplicant.conf; ls /data/etc | grep before"), kept)
        stage.say(f"a wrong password: back after {(now() - began).total_seconds():.0f} s, and joined again")
        change(owner, {"wifi": {**wanted, "ssid": "Nobody's"}}, lambda facts: facts["last"]["wifi"] == "trying")
        box.run("sync")
        box.cut_power()
        box.start()
        box.wait_healthy()
        expect("the network before", box.run("sha256sum /data/etc/wpa_supplicant.conf; ls /data/etc | grep before"), kept)
        expect("what the page shows", owner.ask("GET", "/api/v1/system")["ssid"], "Attic")
        no_failed_unit(box)
        stage.say("the power went while another was tried: the one before holds")
