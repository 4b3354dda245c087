"""A headless Chromium, driven over its debugging pipe: no driver to install, nothing of it on the network."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu-sandbox", "--remote-debugging-pipe", "--no-first-run"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--disable-dev-shm-usage", "--hide-scrollbars"),
)
_KEYS = {"Escape": 27, "Enter": 13, "ArrowUp": 38, "ArrowDown": 40, "ArrowLeft": 37, "ArrowRight": 39, "Tab": 9}


def installed() -> str | None:
    """The browser's command, None where there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page of a headless Chromium. `requests` lists the address of everything that the page asked for."""

    def __init__(self, profile: Path, width: int = 1440, height: int = 900) -> None:
        command = installed()
        assert command is not None
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._number = 0
        self._buffer = b""
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        given, taken = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (to_read, to_write))  # clear of 3 and 4
        self._process = os.posix_spawn(
            command,
            [command, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[
                *((os.POSIX_SPAWN_OPEN, end, os.devnull, os.O_WRONLY, 0) for end in (1, 2)),
                *((os.POSIX_SPAWN_DUP2, given, 3), (os.POSIX_SPAWN_DUP2, taken, 4)),
            ],
        )
        for end in (to_read, to_write, given, taken):
            os.close(end)
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ask("Browser.close")
        os.waitpid(self._process, 0)
        os.close(self._to)
        os.close(self._from)

    def ask(self, method: str, **options: Any) -> dict[str, Any]:
        """A command of the page; its answer."""
        return self._ask(method, session=self._session, **options)

    def open(self, url: str) -> None:
        """Go to an address; `requests` and `errors` begin anew, once the page before is gone."""
        self.ask("Page.navigate", url="about:blank")
        self.wait("location.href === 'about:blank'")
        self.requests.clear()
        self.errors.clear()
        self.ask("Page.navigate", url=url)

    def value(self, script: str) -> Any:
        """What JavaScript in the page comes to; a promise is waited for."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"]["exception"].get("description", answer))
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        """Wait until JavaScript is true; what it is then."""
        end = time.monotonic() + seconds
        while not (found := self.value(f"document.documentElement && ({script})")):
            assert time.monotonic() < end, f"{script}: not within {seconds} s; {self.errors}"
            time.sleep(0.02)
        return found

    def press(self, key: str) -> None:
        """A key down and up."""
        text = {} if key in _KEYS else {"text": key}
        code = _KEYS.get(key, ord(key[0].upper()))
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def drag(self, start: Sequence[float], end: Sequence[float], button: str = "left") -> None:
        """The mouse down at a place in pixels, moved, and up at another."""
        held = {"button": button, "clickCount": 1, "buttons": {"left": 1, "right": 2, "middle": 4}[button]}
        for kind, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def wheel(self, at: Sequence[float], down: float, modifiers: int = 0) -> None:
        """A turn of the wheel over a place; `modifiers` 2 is Ctrl."""
        self.ask(
            "Input.dispatchMouseEvent", type="mouseWheel", x=at[0], y=at[1], deltaX=0, deltaY=down, modifiers=modifiers
        )

    def picture(self, path: Path) -> Path:
        """A PNG of what is seen."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))
        return path

    def _ask(self, method: str, session: str | None = None, **options: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": options}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._from, 2**16)
            assert part, "the browser is gone"
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        what, said = event.get("method"), event.get("params", {})
        if what == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif what == "Runtime.exceptionThrown":
            self.errors.append(str(said["exceptionDetails"].get("exception", said["exceptionDetails"])))
        elif what == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.errors.append(said["entry"]["text"])
        elif what == "Runtime.consoleAPICalled" and said["type"] == "error":
            self.errors.append(str([one.get("value", one.get("description")) for one in said["args"]]))
