"""The server behind the page: it reads, for one browser on this machine, what the shelf names, and nothing else.

Every address begins with a secret that is drawn at the start and printed with the address, so that neither other users
of this machine nor other pages of the browser can read a case. The Host header must be ours (DNS rebinding), methods
are GET and HEAD, names are looked up on the shelf and never joined to a path, and the page may ask this server alone.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from synth.errors import InputError
from synth.files.compressed import Unpacked
from synth.files.content import opened
from synth.viewer import page
from synth.viewer.described import VOLUMES, described
from synth.viewer.gallery import rows
from synth.viewer.shelf import Shelf
from synth.viewer.thumbnail import thumbnail

HOST = "127.0.0.1"
_JSON, _HTML, _PNG, _BYTES = "application/json", "text/html; charset=utf-8", "image/png", "application/octet-stream"
_PIECE, _MOST_BYTES = 2**20, 2**31  # of a volume: sent at a time, and in all
_THUMBNAILS = 4000  # kept in memory, about 30 kB each
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Viewer(ThreadingHTTPServer):
    """Serves a shelf on 127.0.0.1. `port` 0: any that is free. `address` is what to open in the browser."""

    daemon_threads = True

    def __init__(self, shelf: Shelf, port: int = 0) -> None:
        self.shelf = shelf
        self.secret = secrets.token_urlsafe(16)
        self.drawing = threading.Semaphore(2)  # thumbnails at a time: a page asks for dozens
        self.gallery = lru_cache(maxsize=1)(
            lambda: json.dumps({"title": shelf.root.name, "rows": rows(shelf)}).encode()
        )
        self.thumbnail = lru_cache(maxsize=_THUMBNAILS)(self._thumbnail)
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(f"--port {port}: cannot be had ({error}); choose another, or leave it out") from error

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/{self.secret}/"

    def _thumbnail(self, name: str) -> bytes:
        with self.drawing:
            return thumbnail(self.shelf.folder(name))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of an answer is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: Viewer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "synthct", ""
    timeout = 60

    def do_GET(self) -> None:
        """Answer what the page asks for; 403 for a stranger, 404 for what is not on the shelf."""
        if not self._is_ours():
            return self._refuse(403, "not for you: open the address that `synthct view` printed")
        path = urlsplit(self.path).path.split("/")[2:]
        try:
            self._answer([unquote(part, errors="strict") for part in path])
        except (InputError, UnicodeDecodeError) as error:
            self._refuse(404, str(error).replace(str(self.server.shelf.root), self.server.shelf.root.name))

    do_HEAD = do_GET  # noqa: N815 (the name that http.server asks for)

    def _is_ours(self) -> bool:
        """Whether a request comes from the page, by this server's own name, and knows the secret."""
        names = {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}
        site = self.headers.get("Sec-Fetch-Site", "none")
        given = urlsplit(self.path).path.split("/")
        return (
            self.headers.get("Host", "") in names
            and site in ("none", "same-origin")
            and len(given) > 2
            and secrets.compare_digest(given[1].encode(), self.server.secret.encode())
        )

    def _answer(self, path: list[str]) -> None:
        shelf = self.server.shelf
        match path:
            case [""]:
                self._send(page.index(shelf.first), _HTML)
            case ["static", name] if name in page.STATIC:
                self._send(page.static(name), page.STATIC[name])
            case ["api", "gallery"]:
                self._send(self.server.gallery(), _JSON)
            case ["api", "case", name]:
                folder = shelf.folder(name)
                told = described(name, folder, shelf.family(name))
                self._send(json.dumps(told, ensure_ascii=True).encode(), _JSON)
            case ["volume", name, what] if what in VOLUMES:
                self._send_volume(shelf.folder(name) / VOLUMES[what])
            case ["thumbnail", name]:
                self._send(self.server.thumbnail(name), _PNG, kept=True)
            case _:
                raise InputError("no such page")

    def _send(self, content: bytes, kind: str, *, kept: bool = False, code: int = 200) -> None:
        self._begin(code, kind, len(content), kept=kept)
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_volume(self, file: Path) -> None:
        """A .nii.gz, unpacked as it goes; what is damaged ends in the middle, which the browser takes for an error."""
        with opened(file) as content:
            unpacked = Unpacked(content, file.name)
            piece: bytes | None = unpacked.read(_PIECE)
            self._begin(200, _BYTES, None)
            sent = 0
            while piece and self.command != "HEAD" and (sent := sent + len(piece)) <= _MOST_BYTES:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                piece = self._next(unpacked)
            if piece == b"" and self.command != "HEAD":
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

    @staticmethod
    def _next(unpacked: Unpacked) -> bytes | None:
        try:
            return unpacked.read(_PIECE)
        except InputError:
            return None

    def _begin(self, code: int, kind: str, size: int | None, *, kept: bool = False) -> None:
        """Status and headers; `size` None: pieces follow (RFC 9112, section 7.1)."""
        headers = _HEADERS | ({"Cache-Control": "private, max-age=3600"} if kept else {}) | {"Content-Type": kind}
        headers |= {"Transfer-Encoding": "chunked"} if size is None else {"Content-Length": str(size)}
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _refuse(self, code: int, why: str) -> None:
        self._send(json.dumps({"error": " ".join(why.split())}).encode(), _JSON, code=code)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not told on the terminal."""


def serve(viewer: Viewer, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; `ready` is called with the address once the server listens."""
    ready(viewer.address)
    try:
        viewer.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        viewer.server_close()
