"""The page as it is served, and as one file that needs no server."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

_JAVASCRIPT, _CSS = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
NIIVUE = "niivue.umd.js"  # static/README.md says from where
SCRIPTS = (
    "volume.js",
    "planes.js",
    "surface.js",
    "solid.js",
    "case.js",
    "panel.js",
    "keys.js",
    "gallery.js",
    "main.js",
)
STATIC = {**dict.fromkeys((*SCRIPTS, NIIVUE), _JAVASCRIPT), "viewer.css": _CSS}
_SLOTS = ("HEAD", "SCRIPTS")


@cache
def static(name: str) -> bytes:
    """A file of the page; the names are those of STATIC."""
    return resources.files("synth.viewer").joinpath("static", name).read_bytes()


def index(first: str | None) -> bytes:
    """The page that the server gives; `first`: the case that it opens, None for the gallery."""
    scripts = "\n".join(f'<script src="static/{name}"></script>' for name in SCRIPTS)
    head = '<link rel="stylesheet" href="static/viewer.css">'
    return _filled(head, _data("start", {"first": first}) + scripts)


def alone(case: Mapping[str, Any], volumes: Mapping[str, bytes]) -> bytes:
    """One page that holds a case: `case` as of `described`, `volumes` its .nii.gz files.

    It asks for nothing: the policy in it allows its own scripts and styles by their hashes, and no address at all.
    """
    scripts = [static(name).decode() for name in (*SCRIPTS, NIIVUE)]
    style = static("viewer.css").decode()
    policy = (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes([style])}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{style}</style>'
    packed = {what: base64.b64encode(content).decode() for what, content in volumes.items()}
    data = _data("start", {"first": case["name"], "case": case}) + "".join(
        f'<script type="application/octet-stream" id="volume-{html.escape(what)}">{text}</script>\n'
        for what, text in packed.items()
    )
    # niivue first: its classic script sets what solid.js finds
    ordered = [scripts[-1], *scripts[:-1]]
    return _filled(head, data + "\n".join(f"<script>{script}</script>" for script in ordered))


def _filled(head: str, scripts: str) -> bytes:
    page = resources.files("synth.viewer").joinpath("static", "index.html").read_text(encoding="utf-8")
    for slot, text in zip(_SLOTS, (head, scripts), strict=True):
        page = page.replace(f"<!-- {slot} -->", text, 1)
    return page.encode()


def _data(name: str, value: Any) -> str:
    """JSON that a page holds; no word in it can end the element that it stands in."""
    text = json.dumps(value, ensure_ascii=True).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def _hashes(texts: list[str]) -> str:
    """What a policy calls inline scripts or styles (W3C, Content Security Policy 3, section 2.3.1)."""
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in texts)
