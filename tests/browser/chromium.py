"""A real Chromium, spoken to in its own protocol over a pair of pipes: no driver, no port, no further dependency."""

import base64
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import F_DUPFD, fcntl
from pathlib import Path
from typing import Any

from tests.waiting import DEADLINE, until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]


class Tab:
    """One page of the browser. Of all its pages: `faults`: what the consoles said, exceptions and policy violations
    included; `asked`: the address of every request."""

    def __init__(self, browser: "Chromium", faults: list[str], asked: list[str]) -> None:
        self._browser, self.faults, self.asked = browser, faults, asked
        self._target = browser.command("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.command("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def shut(self) -> None:
        """As a person shuts a tab: its page gets a `pagehide`."""
        self._browser.command("Target.closeTarget", targetId=self._target)

    def call(self, method: str, **params: Any) -> Any:
        """One command to the page, and its result."""
        return self._browser.command(method, self._session, **params)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.wait(lambda: self.run("location.href !== 'about:blank' && document.readyState") == "complete", address)

    def wait(self, met: Callable[[], bool], what: str) -> None:
        """Until the condition is met; fails in the end, with what the console said."""
        try:
            until(met, what, DEADLINE)
        except AssertionError as error:
            error.add_note(f"console: {self.faults}")
            raise

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")

    def screenshot(self, path: Path, *, quality: int = 80) -> None:
        """As WebP. quality: 0 to 100."""
        taken = self.call("Page.captureScreenshot", format="webp", quality=quality)
        path.write_bytes(base64.b64decode(taken["data"]))


class Chromium(Tab):
    """One browser with one page; `tab` opens others."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        self._pages: dict[str, str] = {}
        self._number = 0
        self._unread = b""
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        self._write, self._read = ours_out, ours_in
        self._pid = os.posix_spawn(
            CHROMIUM,
            [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[
                (
                    os.POSIX_SPAWN_DUP2,
                    fcntl(theirs_in, F_DUPFD, 64),
                    3,
                ),  # by way of a high number: 3 may be in use here
                (os.POSIX_SPAWN_DUP2, fcntl(theirs_out, F_DUPFD, 65), 4),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            setpgroup=0,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        super().__init__(self, [], [])

    def tab(self) -> Tab:
        return Tab(self, self.faults, self.asked)

    @contextmanager
    def serving(self, address: str, page: str) -> Iterator[None]:
        """The page stands at the address, as if that server had it; everything else is the server's own."""
        self._pages[address] = page
        self.call("Fetch.enable", patterns=[{"urlPattern": address}])
        yield
        self.call("Fetch.disable")
        del self._pages[address]

    def close(self) -> None:
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._write)
        os.close(self._read)

    def command(self, method: str, session: str | None = None, **params: Any) -> Any:
        """One command to the browser, or to the page of a session, and its result."""
        number = self._say(method, session, **params)
        while True:
            message = self._message()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _say(self, method: str, session: str | None = None, **params: Any) -> int:
        self._number += 1
        command = {
            "id": self._number,
            "method": method,
            "params": params,
            **({"sessionId": session} if session else {}),
        }
        os.write(self._write, json.dumps(command).encode() + b"\0")
        return self._number

    def _message(self) -> Any:
        while b"\0" not in self._unread:
            part = os.read(self._read, 1 << 16)
            assert part, "Chromium has ended"
            self._unread += part
        first, _, self._unread = self._unread.partition(b"\0")
        return json.loads(first)

    def _note(self, message: Any) -> None:
        params, method = message.get("params", {}), message.get("method")  # an answer that nobody waits for has none
        if method == "Fetch.requestPaused":
            body = base64.b64encode(self._pages[params["request"]["url"]].encode()).decode()
            headers = [{"name": "Content-Type", "value": "text/html; charset=utf-8"}]
            which = {"requestId": params["requestId"], "responseCode": 200, "responseHeaders": headers, "body": body}
            self._say("Fetch.fulfillRequest", message["sessionId"], **which)
        if method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.faults.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        if method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        if method == "Runtime.exceptionThrown":
            self.faults.append(str(params["exceptionDetails"]))
