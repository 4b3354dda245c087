"""`synthct view`."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

from synth.errors import InputError
from synth.files.content import bytes_of
from synth.files.whole import write_whole
from synth.viewer import page, server
from synth.viewer.described import VOLUMES, described
from synth.viewer.shelf import opened

_MOST_BYTES = 2**30  # of volumes in one page: browsers hold no longer text

_SCREENS = {"DISPLAY", "WAYLAND_DISPLAY"}


def view(path: Path, port: int, *, in_browser: bool, tell: Callable[[str], None]) -> None:
    """Serve a case or cohort until interrupted. Raises InputError where there is none, or the port is taken."""
    shelf = opened(path)
    with server.Viewer(shelf, port) as viewer:
        if in_browser and (_SCREENS & os.environ.keys() or sys.platform == "darwin"):  # never one in the terminal
            webbrowser.open(viewer.address)
        server.serve(viewer, tell)


def export(path: Path, file: Path) -> Path:
    """Write one page that holds a case, whole or not at all; returns it. Raises InputError, OutputError."""
    shelf = opened(path)
    if shelf.first is None:
        raise InputError(f"{path}: holds {len(shelf.cases)} cases; --export writes one, hand over its folder")
    if file.exists():
        raise InputError(f"{file}: is there already; choose another --export or remove it")
    folder = shelf.folder(shelf.first)
    case = described(shelf.first, folder)
    volumes = {what: bytes_of(folder / VOLUMES[what], most=_MOST_BYTES // 2) for what in case["volumes"]}
    write_whole(file, page.alone(case, volumes))
    return file
