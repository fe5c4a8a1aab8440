"""nginx with nchan as a neighbor to be measured against: one worker, on a core that is given."""

import http.client
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PROGRAM = shutil.which("nginx") or "/usr/sbin/nginx"
MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")

CONFIG = """
load_module {module};
worker_processes 1; daemon off; master_process off; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        keepalive_requests 1000000;
        location = /publish {{ nchan_publisher; nchan_channel_id changes; nchan_message_buffer_length 4096; }}
        location = /stream {{
            nchan_subscriber eventsource; nchan_channel_id changes; nchan_subscriber_first_message newest;
        }}
    }}
}}
"""


def is_here() -> bool:
    """Debian: apt-get install nginx libnginx-mod-nchan"""
    return Path(PROGRAM).exists() and MODULE.exists()


class Nchan:
    """A running server. `publish` sends one change to all its streams."""

    request = b"GET /stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"

    def __init__(self, port: int, core: int, body: str) -> None:
        self.port = port
        self._body = body
        self._folder = Path(tempfile.mkdtemp(prefix="persona-nchan-"))
        config = self._folder / "nginx.conf"
        config.write_text(CONFIG.format(module=MODULE, folder=self._folder, port=port))
        command = ["taskset", "-c", str(core), PROGRAM, "-c", str(config), "-p", str(self._folder)]
        self._process = subprocess.Popen(command)
        self.pid = self._process.pid
        self._line = http.client.HTTPConnection("127.0.0.1", port)

    def publish(self) -> None:
        headers = {"Content-Type": "application/json", "X-EventSource-Event": "segment.updated"}
        self._line.request("POST", "/publish", self._body, headers)
        answer = self._line.getresponse()
        answer.read()
        if answer.status not in (201, 202):
            raise SystemExit(f"nchan: {answer.status}")

    def stop(self) -> None:
        os.kill(self.pid, 15)
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
