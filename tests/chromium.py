"""A headless Chromium for the tests of the page, driven over its DevTools pipe with the standard library alone."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

_KEYS = {"Enter": ("\r", 13), "Tab": ("", 9), "Escape": ("", 27), " ": (" ", 32), "/": ("/", 191)}


class Chromium:
    """One tab. Whatever the page says in its console, or what its policy refused, is kept in `complaints`."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = os.fdopen(commands, "wb", buffering=0)
        self._answers = os.fdopen(answers, "rb", buffering=0)
        self._unread = b""
        self._number = 0
        self._session = ""
        self._loaded = False
        self.complaints: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the DevTools protocol, and its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while (said := self._next()).get("id") != self._number:
            self._note(said)
        if "error" in said:
            raise AssertionError(f"{method}: {said['error']['message']}")
        result: dict[str, Any] = said["result"]
        return result

    def open(self, page: Path, fragment: str = "") -> None:
        self.complaints.clear()
        self._loaded = False
        self.send("Page.navigate", url=page.as_uri() + fragment)
        while not self._loaded:
            self._note(self._next())

    def ask(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        said = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in said:
            raise AssertionError(said["exceptionDetails"]["exception"].get("description", script))
        return said["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait for what the page does in its own time, such as following a link."""
        self.ask(
            "new Promise((done, failed) => { const begun = Date.now(); const look = () => {"
            f"if ({condition}) done(); else if (Date.now() - begun < 20000) setTimeout(look, 20);"
            f"else failed(new Error({json.dumps(condition)})); }}; look(); }})"
        )

    def press(self, key: str) -> None:
        """As a person at the keyboard would."""
        text, code = _KEYS[key]
        for kind in ("keyDown", "keyUp"):
            said = {"text": text} if text and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **said)

    def write(self, text: str) -> None:
        """Into whatever has the focus."""
        self.send("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of the first element that matches, once the page no longer moves."""
        at = self.ask(
            f"(async () => {{ const e = document.querySelector({json.dumps(selector)});"
            "for (let before = NaN, turn = 0; turn < 100; turn++) {"
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); const r = e.getBoundingClientRect();"
            "if (r.y === before) return {x: r.x + r.width / 2, y: r.y + r.height / 2};"
            "before = r.y;"
            "await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))); } })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def resize(self, width: int, height: int) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def show_as(self, *, media: str = "", scheme: str = "light") -> None:
        """On paper or on a screen, and which colours the reader's system asks for."""
        self.send(
            "Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def picture(self, *, whole: bool = False) -> bytes:
        """A PNG of what can be seen, or of the whole page."""
        return base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def paper(self) -> bytes:
        """The page as a PDF."""
        return base64.b64decode(self.send("Page.printToPDF", printBackground=True)["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            read = self._answers.read(1 << 20)
            if not read:
                raise AssertionError("Chromium has ended")
            self._unread += read
        line, self._unread = self._unread.split(b"\0", 1)
        said: dict[str, Any] = json.loads(line)
        return said

    def _note(self, said: dict[str, Any]) -> None:
        method, params = said.get("method"), said.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"]["text"])


@contextmanager
def chromium() -> Iterator[Chromium]:
    """A browser of our own, without network, whose profile goes with it."""
    if BINARY is None:
        raise AssertionError("ask for BINARY first")
    ours, theirs = os.pipe(), os.pipe()
    # It reads commands from 3 and answers on 4; above those, neither can be in the other's way.
    commands, answers = (fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (ours[0], theirs[1]))

    def hand_over() -> None:
        os.dup2(commands, 3)
        os.dup2(answers, 4)

    with TemporaryDirectory(prefix="readygate-page-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                BINARY,
                "--headless=new",
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
                "--no-sandbox",  # it only ever opens pages that a test has drawn
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--host-resolver-rules=MAP * ~NOTFOUND",
            ],
            preexec_fn=hand_over,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for each in (ours[0], theirs[1], commands, answers):
            os.close(each)
        try:
            yield Chromium(ours[1], theirs[0])
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
