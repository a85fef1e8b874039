"""A web server on the host for bundles that the box streams: HTTPS, one folder, byte ranges (RFC 9110, section 14)."""

import http.server
import re
import ssl
import subprocess
import threading

# By this address a box reaches its host (qemu's user network).
HOST = "10.0.2.2"


class Server:
    """Serves `folder` while it is open. `certificate` is what it shows; `ranges` what was asked for."""

    def __init__(self, folder, keys):
        self.folder, self.ranges = folder, []
        self.certificate, key = keys / "server.pem", keys / "server.key"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "36500"]
        command += ["-subj", "/CN=bundles", "-addext", f"subjectAltName=IP:{HOST}", "-keyout", key, "-out", self.certificate]
        subprocess.run(command, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                outer.answer(self, body=False)

            def do_GET(self):
                outer.answer(self, body=True)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://{HOST}:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request, body):
        file = self.folder / request.path.rsplit("/", 1)[-1]
        if not file.is_file():
            request.send_error(404)
            return
        size = file.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]) if asked and asked[2] else size - 1, size - 1)
        request.send_response(206 if asked else 200)
        request.send_header("Accept-Ranges", "bytes")
        request.send_header("Content-Length", str(last - first + 1))
        if asked:
            self.ranges.append((first, last))
            request.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        request.end_headers()
        if body:
            with open(file, "rb") as f:
                f.seek(first)
                request.wfile.write(f.read(last - first + 1))
