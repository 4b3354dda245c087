"""Names that become a file or folder: one part of a path, never a way out of the folder that they belong to."""

from __future__ import annotations

import re
from pathlib import Path

from synth.errors import InputError
from synth.files.content import require_text

_LONGEST = 200  # bytes: a file system takes 255, and names get endings
_BARRED = re.compile(r"[/\\\x00-\x1f\x7f]")


def require_name(name: object, what: str) -> str:
    """The name. Raises InputError, naming `what` it is of, where it cannot be that of a file or folder.

    A name that starts with a dot would be hidden: of half-written files that is the mark.
    """
    if not isinstance(name, str):
        raise InputError(f"{what} {ascii(name)[:40]}: is no name; write text")
    require_text(name, what)
    shown = ascii(name)[1:-1][:80]
    if not name.strip() or name != name.strip():
        raise InputError(f"{what} '{shown}': is empty, or starts or ends with a space; give it a name")
    if _BARRED.search(name):
        raise InputError(f"{what} '{shown}': holds a slash or a control character; use letters, digits, - and _")
    if name.startswith((".", "-")):
        raise InputError(f"{what} '{shown}': starts with '{name[0]}'; start with a letter or digit")
    if len(name.encode()) > _LONGEST:
        raise InputError(f"{what} '{shown}..': is longer than {_LONGEST} bytes; shorten it")
    return name


def within(folder: Path, *parts: str) -> Path:
    """The path of names below a folder. Raises InputError where it leads out of it, through a link too."""
    path = folder.joinpath(*(require_name(part, "name") for part in parts))
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path}: leads out of {folder} through a link; remove the link")
    return path
