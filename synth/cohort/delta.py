"""Delta storage: of a case inserted into a host, what differs from the host, in place of three volumes.

The folder keeps plan, report and manifest as they are. The plan names the host by the hashes of its files, the manifest
the hashes of the volumes, so that they can be restored bit by bit, and proved so.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from synth import provenance
from synth.case import finished
from synth.case import folder as case_folder
from synth.case.draft import Draft
from synth.case.folder import CT, DELTA, LESIONS, MANIFEST, ORGANS, PLAN
from synth.cohort import StoreKind, layout, locks, patch
from synth.errors import InputError
from synth.files.content import bytes_of, files_below, text_of
from synth.files.documents import read_table
from synth.files.whole import aside, explained, whole_folder, write_whole
from synth.progress import Progress
from synth.volumes import nifti
from synth.volumes.types import Case, LabelMap, Volume

_COPY = "copy the case again"
_MOST_BYTES = 2**30
RESTORED = (CT, ORGANS, LESIONS)
_CHOICE = "store"  # file in the folder of locks: how the cases of this cohort are kept


def choose(out: Path, store: StoreKind | None) -> None:
    """Settle how a cohort keeps its cases, once for all processes and runs; None leaves it as it is.

    Raises InputError where it was settled otherwise, OutputError where the folder cannot be written.
    """
    if store is None:
        return
    file = out / locks.FOLDER / _CHOICE
    if layout.names_in(out) and not (out / layout.RECIPE).is_file():
        return  # something else stands there, which the engine refuses
    if layout.complete(out) and chosen(out) is not store:
        raise InputError(f"{out}: its cases are kept as {chosen(out)}; leave --store out, or choose another --out")
    if not file.is_file():
        write_whole(file, store)


def chosen(out: Path) -> StoreKind:
    """How the cohort in a folder keeps its cases."""
    file = out / locks.FOLDER / _CHOICE
    if not file.is_file():
        return StoreKind.full
    try:
        return StoreKind(text_of(file).strip())
    except ValueError as error:
        raise InputError(
            f"{file}: says neither of {', '.join(StoreKind)}; write the one that the cases are kept in"
        ) from error


def is_delta(folder: Path) -> bool:
    """Whether a case folder holds what differs from a host."""
    return (folder / DELTA).is_file()


def keeps_deltas(out: Path) -> bool:
    """Whether any case of a cohort is a delta."""
    return any(is_delta(layout.case_folder(out, name)) for name in layout.complete(out))


def finish(out: Path, folder: Path, draft: Draft, command: str, progress: Progress, preview: bool) -> Path:
    """`finished.finish_draft`, and of an inserted case only the difference where the cohort keeps that.

    The whole case is written first, under a hidden name, for its hashes; it gives way to the delta.
    """
    if chosen(out) is StoreKind.full or not draft.inputs or draft.plan.scanner:
        return finished.finish_draft(folder, draft, command, progress, preview)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with explained(folder), aside(folder) as place:
        full = finished.finish_draft(place / folder.name, draft, command, progress, preview)
        return write_delta(full, folder, draft.case, draft.inputs["ct"], draft.inputs["organs"])


def write_delta(full: Path, folder: Path, case: Case, host_ct: Path, host_organs: Path) -> Path:
    """The case in `full`, which is `case`, as a delta in `folder`; whole or not there. Raises OutputError."""
    host = _host(host_ct, host_organs)
    organs = case.organs.ids.astype(host.organs.ids.dtype)
    patches = {
        CT: patch.difference(host.ct.hu, case.ct.hu),
        ORGANS: patch.difference(host.organs.ids, organs),
        LESIONS: patch.difference(np.zeros(case.lesions.ids.shape, np.uint16), case.lesions.ids.astype(np.uint16)),
    }
    with whole_folder(folder, lambda: case_folder.is_whole(folder)) as partial:
        for file in full.iterdir():
            if file.name not in RESTORED:
                shutil.copyfile(file, partial / file.name)
        (partial / DELTA).write_bytes(patch.packed(patches))
    return folder


def restored(folder: Path, hosts: Hosts) -> Case:
    """The case of a delta, its labels named by the manifest. Raises InputError where its host is not in `hosts`."""
    plan, manifest = read_table(folder / PLAN, remedy=_COPY), case_folder.read_manifest(folder)
    host = _host(*hosts.files_of(plan, manifest, folder))
    try:
        patches = patch.unpacked(bytes_of(folder / DELTA, most=_MOST_BYTES), host.ct.hu.size, str(folder / DELTA))
        hu = patch.applied(host.ct.hu, patches[CT])
        organs = patch.applied(host.organs.ids, patches[ORGANS])
        lesions = patch.applied(np.zeros(hu.shape, np.uint16), patches[LESIONS])
    except InputError:
        raise
    except (ValueError, KeyError) as error:
        raise InputError(f"{folder / DELTA}: {error}; {_COPY}") from error
    names = {what: {int(i): str(n) for i, n in table.items()} for what, table in manifest["labels"].items()}
    affine = host.ct.affine
    organ_map = LabelMap(organs, host.organs.affine, names["organs"])
    return Case(Volume(hu, affine), organ_map, LabelMap(lesions, affine, names["lesions"]))


def restore(folder: Path, out: Path, hosts: Hosts) -> Path:
    """Write the whole case of a delta to `out`, each file proved equal to the one that it stands for.

    Raises InputError where a file comes out otherwise: another host, or another version of the compression.
    """
    case = restored(folder, hosts)
    out.mkdir(parents=True)
    for file in folder.iterdir():
        if file.name != DELTA:
            shutil.copyfile(file, out / file.name)
    nifti.write_volume(out / CT, case.ct)
    nifti.write_labels(out / ORGANS, case.organs)
    nifti.write_labels(out / LESIONS, case.lesions)
    manifest = case_folder.read_manifest(folder)
    if altered := case_folder.altered_files(out, manifest):
        raise InputError(
            f"{folder}: {', '.join(altered)} cannot be restored to the byte; install isal and nibabel in the versions "
            f"that {MANIFEST} names, with which it was written"
        )
    return out


class Hosts:
    """The NIfTI files below a folder, found by what they hold and not by name. Files are hashed as they are needed."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"--hosts: {folder}: no such folder; check the path")
        self.folder = folder
        self._waiting = sorted(p for p in files_below(folder) if p.name.endswith((".nii", ".nii.gz")) and p.is_file())
        self._known: dict[str, Path] = {}

    def files_of(self, plan: Mapping[str, Any], manifest: Mapping[str, Any], case: Path) -> tuple[Path, Path]:
        """CT and organs of the host of a case. Raises InputError where either is not there."""
        try:
            digests = [str(plan["host"][f"{role}_sha256"]) for role in ("ct", "organs")]
            names = [str(manifest["inputs"][role]["file"]) for role in ("ct", "organs")]
        except (KeyError, TypeError) as error:
            raise InputError(f"{case}: plan or manifest name no host; {_COPY}") from error
        ct, organs = (self._find(digest, name, case) for digest, name in zip(digests, names, strict=True))
        return ct, organs

    def _find(self, digest: str, name: str, case: Path) -> Path:
        self._waiting.sort(key=lambda path: path.name == name)  # a file of that name is tried first, from the end
        while digest not in self._known and self._waiting:
            path = self._waiting.pop()
            self._known[provenance.sha256_of_file(path)] = path
        if digest not in self._known:
            raise InputError(f"{case}: its host's {name} (sha256 {digest[:12]}..) is not below {self.folder}; add it")
        return self._known[digest]


@lru_cache(maxsize=2)
def _host(ct: Path, organs: Path) -> Case:
    """The host as a case without lesions, in the very arrays that a file of it would give; the last few are kept."""
    volume = nifti.read_volume(ct)
    ids, affine = nifti.read_ids(organs, like=volume)
    nothing = np.zeros(ids.shape, np.uint8)
    return Case(volume, LabelMap(ids, affine, {}), LabelMap(nothing, volume.affine, {}))
