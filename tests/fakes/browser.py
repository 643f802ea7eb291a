"""A real Chromium, driven over its own debugging pipe: no driver program, no port, no package.

The commands are those of the Chrome DevTools Protocol; each ends with a NUL byte on file descriptors 3 and 4.
"""

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--lang=en-US",
    "--remote-debugging-pipe",
)
_PLACED = "import os, sys; a, b = map(int, sys.argv[1:3]); os.dup2(a, 3); os.dup2(b, 4); os.execv(sys.argv[3], sys.argv[3:])"
_PATIENCE_S = 15.0
_KEYS = {
    "Enter": (13, "\r"),
    "Escape": (27, None),
    "Tab": (9, None),
    "Home": (36, None),
    "End": (35, None),
    "ArrowLeft": (37, None),
    "ArrowUp": (38, None),
    "ArrowRight": (39, None),
    "ArrowDown": (40, None),
    " ": (32, " "),
}


class Browser:
    """One page of a running Chromium, with everything that it asked for and complained about."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._rest = b""
        self._next = 0
        self._session: str | None = None
        self._answers: dict[int, dict[str, Any]] = {}
        self.loads = 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._context = self.send("Target.createBrowserContext")["browserContextId"]
        page = {"url": "about:blank", "browserContextId": self._context}
        target = self.send("Target.createTarget", **page)["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.size(1366, 900)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        self._next += 1
        asked = {"id": self._next, "method": method, "params": parameters}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        until = time.monotonic() + _PATIENCE_S
        while self._next not in self._answers:
            self._read(until)
        answer = self._answers.pop(self._next)
        assert "error" not in answer, (method, answer["error"])
        return dict(answer["result"])

    def _read(self, until: float) -> None:
        ready, _, _ = select.select([self._from], [], [], max(0.0, until - time.monotonic()))
        assert ready, "Chromium does not answer"
        part = os.read(self._from, 1 << 20)
        assert part, "Chromium ended"
        self._rest += part
        *whole, self._rest = self._rest.split(b"\0")
        for one in whole:
            self._take(json.loads(one))

    def _take(self, message: dict[str, Any]) -> None:
        given = message.get("params", {})
        if "id" in message:
            self._answers[message["id"]] = message
        elif message.get("sessionId") != self._session:
            return
        elif message["method"] == "Page.loadEventFired":
            self.loads += 1
        elif message["method"] == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
        elif message["method"] == "Runtime.exceptionThrown":
            details = given["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif message["method"] == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning"):
            self.complaints.append(
                str([part.get("value", part.get("description")) for part in given["args"]])
            )
        elif message["method"] == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{given['entry']['text']} {given['entry'].get('url', '')}")

    def close(self) -> None:
        """Close the page and forget what it stored."""
        self._session = None
        self.send("Target.disposeBrowserContext", browserContextId=self._context)

    def size(self, width: int, height: int, touch: bool = False) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=touch,
        )
        self.send("Emulation.setTouchEmulationEnabled", enabled=touch)

    def dark(self, on: bool) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def reload(self) -> None:
        """Load the page again, its tab's memory kept."""
        before = self.loads
        self.send("Page.reload")
        until = time.monotonic() + _PATIENCE_S
        while self.loads == before:
            self._read(until)

    def run(self, code: str) -> Any:
        """Return the value of the expression ``code``, awaited."""
        given = self.send(
            "Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in given, (code, given["exceptionDetails"])
        return given["result"].get("value")

    def wait(self, code: str, seconds: float = 8.0) -> None:
        """Wait until the expression ``code`` is true."""
        until = time.monotonic() + seconds
        while not self.run(f"Boolean({code})"):
            assert time.monotonic() < until, (code, self.run("document.body.innerText.slice(0, 1500)"))
            time.sleep(0.02)

    def text(self, selector: str = "body") -> str:
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, selector: str) -> None:
        """Click the middle of the first element that ``selector`` finds, scrolled into view."""
        found = json.dumps(selector)
        self.wait(f"document.querySelector({found})")
        place = self.run(
            f"(() => {{ const e = document.querySelector({found}); e.scrollIntoView({{block: 'center'}});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, *place)

    def mouse(self, kind: str, x: float, y: float) -> None:
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def press(self, *keys: str) -> None:
        for key in keys:
            code, text = _KEYS.get(key, (ord(key[0].upper()), key))
            given = {"key": key, "windowsVirtualKeyCode": code, **({"text": text} if text else {})}
            self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **given)
            self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def focused(self) -> str:
        """The ``data-key`` of what has the focus."""
        return str(self.run("document.activeElement?.dataset?.key ?? ''"))

    def screenshot(self, path: Path, whole: bool = False) -> None:
        given = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(b64decode(given["data"]))


@contextmanager
def chromium() -> Iterator[Callable[[], Browser]]:
    """Start Chromium with a profile of its own; call what is yielded for a fresh page."""
    assert CHROMIUM, "no Chromium on this machine"
    profile = tempfile.mkdtemp(prefix="superheat-chromium-")
    read_by_it, write_to_it = os.pipe()
    read_from_it, written_by_it = os.pipe()
    # Above 9, so that putting the one in place cannot overwrite the other.
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read_by_it, written_by_it)]
    command = [sys.executable, "-c", _PLACED, *map(str, ends), CHROMIUM, *_FLAGS]
    command += [f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        command,
        pass_fds=ends,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in (read_by_it, written_by_it, *ends):
        os.close(end)
    try:
        yield lambda: Browser(write_to_it, read_from_it)
    finally:
        process.terminate()
        process.wait(20)
        os.close(write_to_it)
        os.close(read_from_it)
        shutil.rmtree(profile, ignore_errors=True)
