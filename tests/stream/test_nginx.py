"""Streams behind nginx, with the configuration of docs/operations. Skipped where there is no nginx."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.stack import free_port
from tests.stream.listening import Listening
from tests.stream.serving import served, until
from tests.stream.shop import Shop
from tests.stream.test_tickets import document

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else None)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs nginx (Debian: apt-get install nginx)")


class Nginx:
    """nginx before one stream server, as documented but for its addresses. `plain` is the same without TLS."""

    def __init__(self, folder: Path, upstream: int) -> None:
        self.folder = folder
        self.port, self.plain = free_port(), free_port()
        certificate(folder)
        config = (ROOT / "docs" / "operations" / "nginx.conf").read_text()
        for given, ours in {
            "listen 443 ssl http2;": f"listen 127.0.0.1:{self.port} ssl http2; listen 127.0.0.1:{self.plain};",
            "server 127.0.0.1:8000;": f"server 127.0.0.1:{upstream};",
            "server 127.0.0.1:8001 max_fails=0;": f"server 127.0.0.1:{upstream} max_fails=0;",
            "server 127.0.0.1:8002 max_fails=0;": "",
            "server_name persona.example;": "server_name localhost;",
            "worker_processes auto;": "worker_processes 1; daemon off;",
            "worker_rlimit_nofile 65536;": "",
            "worker_connections 32768;": "worker_connections 256;",
            "/etc/ssl/": f"{folder}/",
            "/var/log/nginx/": f"{folder}/",
            "/run/": f"{folder}/",
            "http {": f"http {{ {temporary(folder)}",
        }.items():
            assert given in config, given
            config = config.replace(given, ours)
        (folder / "nginx.conf").write_text(config)
        command = [PROGRAM or "", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "start.log")]
        self.process = subprocess.Popen(command)
        until(lambda: (folder / "nginx.pid").exists(), "nginx to start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def temporary(folder: Path) -> str:
    """Where nginx keeps large bodies."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)


def certificate(folder: Path) -> None:
    """One that we trust ourselves."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "persona.pem").write_bytes(signed.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "persona.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    ssl.create_default_context(cafile=str(folder / "persona.pem"))


@contextmanager
def running(folder: Path, upstream: int) -> Iterator[Nginx]:
    nginx = Nginx(folder, upstream)
    try:
        yield nginx
    finally:
        nginx.stop()


@pytest.fixture
def nginx(tmp_path: Path, port: int) -> Iterator[Nginx]:
    for parent in (tmp_path, *list(tmp_path.parents)[:2]):
        parent.chmod(0o755)  # as root: nginx's own user has to get in
    with running(tmp_path, port) as one:
        yield one


def test_frames_go_through_at_once_and_streams_resume(shop: Shop, nginx: Nginx) -> None:
    with Listening(nginx.plain, shop.pk) as stream:
        assert stream.next("heartbeat").id == 0
        for number in (1, 2, 3):
            shop.append()
            assert stream.next().id == number  # nothing follows that could push it out of a buffer
    with Listening(nginx.plain, shop.pk, last=1) as stream:
        assert [frame.id for frame in stream.take(2)] == [2, 3]


def test_http2_for_browsers(shop: Shop, nginx: Nginx) -> None:
    shop.append(3)
    command = [
        "curl", "--silent", "--no-buffer", "--http2", "--max-time", "60", "--include",
        "--cacert", str(nginx.folder / "persona.pem"), "--header", f"Authorization: Bearer {shop.pk}",
        "--header", "Last-Event-ID: 0", f"https://localhost:{nginx.port}/api/v2/pipeline/stream",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        assert curl.stdout is not None
        assert curl.stdout.readline().startswith(b"HTTP/2 200")
        heard = b""
        while b"id: 3" not in heard:
            line = curl.stdout.readline()
            assert line, heard
            heard += line
        curl.kill()


def test_a_refusal_is_handed_on(shop: Shop, nginx: Nginx) -> None:
    assert Listening(nginx.plain, None).problem()["code"] == "auth.missing_key"


def test_a_ticket_is_in_no_log(shop: Shop, nginx: Nginx) -> None:
    answer = Listening(nginx.plain, shop.pk, "/tickets", method="POST")
    ticket = document(answer)["ticket"]
    with Listening(nginx.plain, None, f"?ticket={ticket}") as stream:
        assert stream.next("heartbeat").id == 0
    log = nginx.folder / "persona.log"
    until(lambda: log.read_text().count("/api/v2/pipeline/stream") == 2, "both requests to be logged")
    assert ticket not in "".join(path.read_text() for path in nginx.folder.glob("*.log"))


def test_a_process_that_stops_says_so_through_nginx(shop: Shop, tmp_path: Path) -> None:
    with ExitStack() as after:
        with served() as upstream:
            nginx = after.enter_context(running(tmp_path, upstream))
            stream = Listening(nginx.plain, shop.pk)
            stream.next("heartbeat")
        ending = stream.response.read().decode()  # whole, or this raises
        assert "retry: " in ending
        assert ending.endswith(": stop: the server stops\n\n")
