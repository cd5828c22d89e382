"""Debian's chromium without a window, driven by the DevTools protocol over two pipes: no port, no network."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.patience import PATIENCE

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
"""As root there is no sandbox; nothing but this page runs in it, and no name resolves."""
PROGRAM = "chromium"


class BrowserError(Exception):
    """What the browser, or the page in it, says is wrong."""


def program() -> str | None:
    """Where it is, if it is installed."""
    return shutil.which(PROGRAM)


class Chromium:
    """A browser with one page, of which every message is kept."""

    def __init__(self, place: Path) -> None:
        self.errors: list[str] = []
        """What the console had of errors and warnings, exceptions, and requests that left the page."""
        self._last = 0
        self._buffer = b""
        found = program()
        assert found is not None
        self._pid, self._out, self._in = _spawn(found, place)
        target = self._ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session: str | None = self._ask("Target.attachToTarget", {"targetId": target, "flatten": True})[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._in)
        os.close(self._out)
        until = time.monotonic() + 5
        while os.waitpid(self._pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > until:
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
                return
            time.sleep(0.05)

    def open(self, url: str) -> None:
        """Go to a page, and wait until it is drawn."""
        self._ask("Page.navigate", {"url": "about:blank"})
        self._ask("Page.navigate", {"url": url})
        until = time.monotonic() + PATIENCE
        while not self.run("document.readyState === 'complete' && location.href !== 'about:blank'"):
            if time.monotonic() > until:
                raise BrowserError(f"{url} does not come to an end")
            time.sleep(0.02)
        self.settle()

    def settle(self) -> None:
        """Wait for what a click or a change of the address has begun."""
        self.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")

    def run(self, script: str) -> Any:
        """Evaluate in the page, and wait for a promise."""
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        answer = self._ask("Runtime.evaluate", asked)
        if "exceptionDetails" in answer:
            raise BrowserError(json.dumps(answer["exceptionDetails"])[:600])
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).click()")
        self.settle()

    def press(self, key: str) -> None:
        """One key, as a keyboard sends it."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", {"type": kind, "key": key, **(text if kind == "keyDown" else {})})
        self.settle()

    def type(self, text: str) -> None:
        """Into what has the focus."""
        self._ask("Input.insertText", {"text": text})
        self.settle()

    def look(self, width: int, height: int = 900, *, dark: bool = False, medium: str = "") -> None:
        """Be a screen of this width, light or dark; or paper."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", {"media": medium, "features": [scheme]})
        self.settle()

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """Write what is seen as PNG; whole: also what is below."""
        asked: dict[str, Any] = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
            asked["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 8000), "scale": 1}
        file.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", asked)["data"]))

    def _ask(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        self._last += 1
        asked: dict[str, Any] = {"id": self._last, "method": method, "params": params or {}}
        if session := getattr(self, "_session", None):
            asked["sessionId"] = session
        os.write(self._in, json.dumps(asked).encode() + b"\0")
        while True:
            answer = self._next(method)
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error'].get('message')}")
                return answer["result"]
            self._keep(answer)

    def _next(self, method: str) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._out], [], [], max(0, until - time.monotonic()))
            data = os.read(self._out, 1 << 20) if ready else b""
            if not data:
                raise BrowserError(f"no answer to {method}: the browser {'is gone' if ready else 'hangs'}")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        decoded: dict[str, Any] = json.loads(message)
        return decoded

    def _keep(self, event: Mapping[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning", "assert"}:
                self.errors.append(f"console: {json.dumps(params['args'])[:400]}")
            case "Runtime.exceptionThrown":
                self.errors.append(f"exception: {json.dumps(params['exceptionDetails'])[:600]}")
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                self.errors.append(f"log: {params['entry']['text']}")
            case "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith(("file:", "data:", "about:", "blob:")):
                    self.errors.append(f"request: {url}")


def _spawn(found: str, place: Path) -> tuple[int, int, int]:
    """Its pid, where it answers, and where it is asked: it reads from descriptor 3 and writes to 4."""
    its_in, our_in = os.pipe()
    our_out, its_out = os.pipe()
    # Beyond 3 and 4, so that neither lies where the other has to go.
    high = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 10) for one in (its_in, its_out)]
    log = str(place / "chromium.log")
    pid = os.posix_spawn(
        found,
        [found, *FLAGS, f"--user-data-dir={place / 'profile'}", "about:blank"],
        {**os.environ, "HOME": str(place)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, high[0], 3),
            (os.POSIX_SPAWN_DUP2, high[1], 4),
        ],
    )
    for one in (its_in, its_out, *high):
        os.close(one)
    return pid, our_out, our_in
