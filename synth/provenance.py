"""What a case was made with: enough to make it again, and nothing that differs between two equal runs.

No time stamps and no absolute paths: the same command on the same machine gives the same manifest.
"""

from __future__ import annotations

import hashlib
import platform
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from synth import __version__
from synth.files.content import files_below

FORMAT = 1  # of manifest.json

# What can change a voxel. Asked of the installed packages, so that nothing heavy is imported.
_LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "monai", "numpy", "scipy", "nibabel", "isal")


@dataclass(frozen=True)
class Check:
    """A number measured on the finished case, and the range in which it must lie."""

    name: str
    value: float
    low: float
    high: float

    @property
    def ok(self) -> bool:
        """Whether low <= value <= high."""
        return self.low <= self.value <= self.high


def manifest(
    *,
    command: str,
    seeds: Mapping[str, int],
    weights: Mapping[str, Path],
    device: str,
    attempts: int = 1,
    checks: Iterable[Check] = (),
    inputs: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """The manifest of a case, as JSON values; `case_folder.write_case` adds its `labels` and `files`.

    `command`: see `command_line`. `weights` and `inputs`: role -> file (a DICOM series: its folder), kept as name and
    sha256.
    `device`: what computed it, for instance `cpu bf16`. `attempts`: cases drawn until one passed the checks.
    """
    return {
        "format": FORMAT,
        "synthetic": True,
        "synthct": __version__,
        "command": command,
        "seeds": dict(seeds),
        "inputs": {role: _file(path) for role, path in (inputs or {}).items()},
        "weights": {role: _file(path) for role, path in weights.items()},
        "attempts": attempts,
        "checks": [asdict(check) | {"ok": check.ok} for check in checks],
        "environment": {
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
            "device": device,
            "libraries": library_versions(),
        },
    }


def command_line(verb: str, *arguments: str | Path, **options: object) -> str:
    """The command that makes this one case again: `synthct VERB ARGUMENTS --OPTION VALUE`, quoted for a shell.

    Paths are cut to their file name. Options that are None are left out, those that are True have no value;
    `organ_ids` becomes `--organ-ids`.
    """
    words = ["synthct", verb, *(_word(argument) for argument in arguments)]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [_word(value)])]
    return shlex.join(words)


def library_versions(libraries: Iterable[str] = _LIBRARIES) -> dict[str, str]:
    """Installed versions by distribution name; what is not installed is left out. Imports none of them."""
    versions = {}
    for name in libraries:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file; asked again for an unchanged file, it is not read again. Raises OSError."""
    status = path.stat()
    return _sha256_of_state(path.resolve(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _sha256_of_state(path: Path, _mtime_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_input(path: Path) -> str:
    """As `sha256_of_file`; of a folder, of the hashes of all files below it, through links too, under any names."""
    if not path.is_dir():
        return sha256_of_file(path)
    return sha256(" ".join(sorted(sha256_of_file(file) for file in files_below(path) if file.is_file())).encode())


def _file(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": sha256_of_input(path)}


def _word(value: object) -> str:
    return value.name if isinstance(value, Path) else str(value)
