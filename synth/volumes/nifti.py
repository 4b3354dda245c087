"""NIfTI in and out: HU volumes and label maps, checked when read and byte-identical when written again.

World coordinates are RAS mm, as in the file. Nothing is resampled, flipped or reordered here. What cannot be
used is an InputError; what can be used but is not read as it stands is logged, one note each.
"""

from __future__ import annotations

import difflib
import logging
import math
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip
from nibabel.spatialimages import HeaderDataError

from synth import __version__
from synth.errors import InputError
from synth.files.compressed import Unpacked
from synth.files.content import opened
from synth.files.documents import read_table
from synth.volumes import ct_likeness, geometry, labels
from synth.volumes.labels import is_lesion_name
from synth.volumes.types import LabelMap, Volume

MARK = f"synthct synthetic {__version__}"  # `descrip` of every file we write; at most 79 characters

_INTEGER_TOLERANCE = 0.05  # a label this near an integer is that integer: integers with a slope come back so
_GZIP_LEVEL = 2
_CODES = 6  # of orientation, 0 to 5
_CODE_SCANNER = 1  # NIFTI_XFORM_SCANNER_ANAT
_MOST_OFFSET = 2**26  # bytes before the voxels: extensions of a header may be long
_MOST_VOXELS, _MOST_BYTES = 2**29, 2**31  # 512 x 512 x 2048, four bytes each: no CT of a person is larger
_MM_OF_UNIT = {"meter": 1000.0, "micron": 0.001}
_ID = re.compile(r"[1-9][0-9]{0,4}")
MAISI = "maisi"  # an option's word for the table of MAISI
_SHOWN = 12  # at most so many ids or values in one note

logger = logging.getLogger(__name__)


def read_volume(path: str | Path, *, plausible: bool = True) -> Volume:
    """The CT at `path` (.nii or .nii.gz): int16 HU (X, Y, Z) and its affine in RAS mm.

    `plausible`: refuse numbers that can be no HU (set it off for volumes that this package wrote).
    Raises InputError for a missing, damaged or non-NIfTI file, a shape that is no volume, NaN, numbers that
    are no HU, a sheared affine or a header without orientation.
    """
    path = Path(path)
    array, affine = _read_array(path)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise InputError(f"{path}: {bad} voxels are NaN or infinite; fill them (air is -1000 HU) and save again")
    if plausible:
        ct_likeness.require_ct(array, str(path))
        axis = geometry.slice_axis(affine)
        if (odd := ct_likeness.odd_slice(array.clip(-4096, 8192), axis)) is not None:
            raise InputError(f"{path}: slice {odd[0]} of axis {axis}: {odd[1]}; convert the series again, or mend it")
    return Volume(ct_likeness.as_hu(array, str(path)), affine)


def read_labels(path: str | Path, like: Volume | None = None, organ_ids: Mapping[int, str] | None = None) -> LabelMap:
    """The label map at `path`: unsigned ids (X, Y, Z), and the names of those that are present.

    `like`: the CT on whose grid it must lie. `organ_ids`: id -> name for this file, in place of labels.csv.
    Ids without a name stay in the array, are left out of `names`, and are listed in a logged note.
    """
    ids, affine = read_ids(path, like)
    return LabelMap(ids, affine, names_present(ids, organ_ids, Path(path)))


def read_ids(path: str | Path, like: Volume | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The ids (X, Y, Z), uint8 or uint16, and the affine of a label map, without names; axes run as those of `like`."""
    path = Path(path)
    array, affine = _read_array(path)
    ids = as_ids(array, path)
    return (ids, affine) if like is None else (on_grid_of(ids, affine, like, path), like.affine)


def on_grid_of(ids: np.ndarray, affine: np.ndarray, like: Volume, path: Path) -> np.ndarray:
    """Ids (X, Y, Z) with their axes turned to run as those of a CT. Raises InputError where the grid is another."""
    ids, affine = geometry.turned_like(ids, affine, like.affine)
    if not geometry.same_grid(ids.shape, affine, like.hu.shape, like.affine):
        apart = ""
        if ids.shape == like.hu.shape:
            apart = f", whose corners are up to {geometry.corners_apart(ids.shape, affine, like.affine):.3g} mm away"
        raise InputError(
            f"{path}: labels on another grid ({_grid(ids.shape, affine)}) than the CT "
            f"({_grid(like.hu.shape, like.affine)}){apart}; resample them onto the CT's grid (nearest neighbour)"
        )
    return ids


def write_volume(path: str | Path, volume: Volume) -> None:
    """Write HU as int16 .nii.gz. The same volume gives the same bytes. Raises OSError."""
    _write(Path(path), volume.hu, volume.affine, intent="none")


def write_labels(path: str | Path, labels: LabelMap) -> None:
    """Write ids as .nii.gz, uint8 where they fit and uint16 otherwise. Raises OSError."""
    largest = int(labels.ids.max(initial=0))
    if largest > np.iinfo(np.uint16).max:
        raise InputError(f"{path}: label id {largest} does not fit 16 bits; renumber the labels")
    _write(Path(path), labels.ids.astype(np.uint8 if largest < 256 else np.uint16), labels.affine, intent="label")


def parse_organ_ids(text: str, option: str = "--organ-ids") -> dict[int, str]:
    """`3=liver,7=liver_tumour`, or the path of a JSON file {"3": "liver"}: id -> name of labels.csv or of a lesion.

    `maisi`: the table of NVIDIA's MAISI.
    """
    if text.strip() == MAISI:
        return dict(labels.maisi_names())
    is_file = text.strip().endswith(".json") or os.path.exists(text.strip())
    pairs = _pairs_of_json(Path(text.strip()), option) if is_file else _pairs_of_text(text, option)
    table: dict[int, str] = {}
    for key, name in pairs:
        if not _ID.fullmatch(key):
            raise InputError(f"{option}: '{key[:20]}' is no label id; ids are integers from 1, as in 3=liver")
        if int(key) in table:
            raise InputError(f"{option}: id {key} is named twice ({table[int(key)]}, {name}); keep one")
        table[int(key)] = _known_name(name, option)
    if not table:
        raise InputError(f"{option}: no ids in it; write 3=liver,7=kidney_left or the path of a JSON file")
    return table


def written_ids(table: Mapping[int, str] | None) -> str | None:
    """The names of ids as an option says them, which `parse_organ_ids` reads back; None for none."""
    if table and dict(table) == labels.maisi_names():
        return MAISI
    return ",".join(f"{number}={name}" for number, name in sorted((table or {}).items())) or None


def read_stored(path: Path) -> np.ndarray:
    """The numbers (X, Y, Z) as they are stored, whatever the header says of scale and place.

    For archives whose headers are known to be wrong and whose tables say it right. Raises InputError as `read_volume`.
    """
    return _stored(path)[0]


def read_numbers(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The numbers (X, Y, Z) of a file and its affine in RAS mm; None where its header says nothing of the grid.

    That is neither sform nor qform, voxels of 0 mm, or voxels of 1 mm along plain axes from the origin, which libraries
    write where they were told nothing. Raises InputError as `read_volume` does of damage, whatever the numbers mean.
    """
    array, header = _stored(path)
    said = _forms(header, path)
    grids = [form[:3] for form in said if form is not None]
    silent = (
        not grids or not np.linalg.norm(grids[0][:, :3], axis=0).all() or np.array_equal(abs(grids[0]), np.eye(3, 4))
    )
    return _scaled(array, header, path), None if silent else _affine_of(header, path)


def _read_array(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Three-axis array in stored (or scaled) numbers, and its checked affine."""
    array, header = _stored(path)
    return _scaled(array, header, path), _affine_of(header, path)


def _stored(path: Path) -> tuple[np.ndarray, nib.Nifti1Header]:
    """Three-axis array in stored numbers, and its header."""
    with opened(path, kind="a .nii or .nii.gz file") as file:
        unpacked = Unpacked(file, str(path))
        header = _read_header(unpacked, path)
        shape, dtype = _shape_of(header, path), header.get_data_dtype()
        unpacked.read(_start_of(header, path) - header.sizeof_hdr)
        content = unpacked.read(needed := math.prod(shape) * dtype.itemsize)
        if len(content) < needed:
            raise InputError(f"{path}: fewer voxels than its header says (truncated file?); copy it again")
        unpacked.require_end()
    array = np.frombuffer(content, dtype).reshape(shape, order="F")
    return array.astype(dtype.newbyteorder("="), copy=False), header


def _read_header(file: Unpacked, path: Path) -> nib.Nifti1Header:
    """The header of a single-file NIfTI-1 or NIfTI-2 image, told apart by their sizes."""
    content = file.read(4)
    kinds = {struct.pack(order + "i", n): kind for order in "<>" for n, kind in _HEADER_OF_SIZE.items()}
    if (kind := kinds.get(content)) is not None:
        content += file.read(kind.sizeof_hdr - len(content))
    if kind is None or b"n+" not in content[:8] + content[344:348]:
        raise InputError(
            f"{path}: not a NIfTI file; convert it to .nii.gz (DICOM: dcm2niix, NRRD and MetaImage: SimpleITK)"
        )
    try:
        raw = kind(content, check=False)  # type: ignore[no-untyped-call]
        for code in ("sform_code", "qform_code"):
            if int(raw[code]) not in range(_CODES):  # else it would be taken for 0, unknown
                raise InputError(f"{path}: damaged NIfTI header ({code} {int(raw[code])}); save it again")
        return _quietly(kind, content)
    except (HeaderDataError, ValueError, ArithmeticError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged NIfTI header ({error}); save it again") from error


def _quietly(kind: Any, content: bytes) -> nib.Nifti1Header:
    """nibabel's header, without what it prints beside what it raises and sets right."""
    log = logging.getLogger("nibabel.global")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        return kind(content)
    finally:
        log.setLevel(level)


_HEADER_OF_SIZE = {348: nib.Nifti1Header, 540: nib.Nifti2Header}


def _shape_of(header: nib.Nifti1Header, path: Path) -> tuple[int, ...]:
    """Voxels along three axes. Raises InputError for what is no volume, and for one larger than any CT."""
    try:
        said = tuple(int(n) for n in header.get_data_shape())
        kind = header.get_data_dtype().kind
    except (HeaderDataError, ValueError, KeyError, OverflowError) as error:
        raise InputError(f"{path}: damaged NIfTI header ({error}); save it again") from error
    shape = said
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3:
        what = "2D image" if len(shape) < 3 else f"{len(shape)}D image ({shape[3]} volumes)"
        raise InputError(f"{path}: shape {said} is a {what}; hand over one 3D volume")
    if min(shape) < 2:
        raise InputError(f"{path}: shape {shape} is a single slice (2D image); hand over the whole 3D volume")
    if kind not in "iuf":
        raise InputError(f"{path}: voxels are stored as {header.get_data_dtype()}; save one number a voxel (int16)")
    if math.prod(shape) > _MOST_VOXELS or math.prod(shape) * header.get_data_dtype().itemsize > _MOST_BYTES:
        raise InputError(f"{path}: {shape} voxels of {header.get_data_dtype()} are more than 512 x 512 x 2048 of int32")
    return shape


def _start_of(header: nib.Nifti1Header, path: Path) -> int:
    """Where the voxels start in the file, in bytes."""
    offset = float(header["vox_offset"])
    if not 0 <= offset <= _MOST_OFFSET:  # also of NaN
        raise InputError(f"{path}: damaged NIfTI header (vox_offset {offset:g}); save it again")
    return max(int(offset), header.single_vox_offset)


def _scaled(array: np.ndarray, header: nib.Nifti1Header, path: Path) -> np.ndarray:
    """The numbers that stored ones stand for."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not math.isfinite(slope):
        return array  # the standard's mark for numbers that are not scaled
    if not math.isfinite(inter):
        raise InputError(f"{path}: scl_inter is {inter:g}; mend the header, or save it again")
    if (slope, inter) == (1.0, 0.0):
        return array
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is refused
        return array.astype(np.float32) * np.float32(slope) + np.float32(inter)


def _forms(header: nib.Nifti1Header, path: Path) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Sform and qform, None for one whose code is 0."""
    try:
        return header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
    except (HeaderDataError, ValueError, ArithmeticError) as error:
        raise InputError(f"{path}: damaged NIfTI header ({error}); save it again with its orientation") from error


def _affine_of(header: nib.Nifti1Header, path: Path) -> np.ndarray:
    """The sform, else the qform. A header with neither does not say which side is left."""
    sform, qform = _forms(header, path)
    if sform is None and qform is None:
        raise InputError(
            f"{path}: sform and qform codes are 0, so left and right are unknown; convert it again with its orientation"
        )
    chosen = np.array(qform if sform is None else sform, float)
    try:
        unit = header.get_xyzt_units()[0]
    except KeyError as error:
        said = int(error.args[0])
        raise InputError(f"{path}: damaged NIfTI header (unit {said} is none); save it again in mm") from error
    if (mm := _MM_OF_UNIT.get(unit)) is not None:
        logger.warning("%s: lengths are stored in %s; scaled to mm", path, unit)
        chosen[:3] *= mm
    affine = geometry.check_affine(chosen, str(path))
    if sform is not None and qform is not None and not np.allclose(sform, qform, atol=0.1):
        apart = float(np.abs(sform - qform).max())
        logger.warning("%s: sform and qform differ by up to %.2f; the sform is used", path, apart)
    return affine


def as_ids(array: np.ndarray, path: Path) -> np.ndarray:
    """uint8 or uint16 ids."""
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (np.abs(array - np.round(array)) <= _INTEGER_TOLERANCE)
        if not whole.all():
            value = float(array[~whole].flat[0])
            raise InputError(f"{path}: label value {value:.6g} is not an integer; resample with nearest neighbour")
        array = np.round(array)
    low, high = int(array.min()), int(array.max())
    if low < 0:
        raise InputError(f"{path}: label value {low} is negative; ids are 0 (background) and above")
    if high > np.iinfo(np.uint16).max:
        raise InputError(f"{path}: label value {high} does not fit 16 bits; is this a label map? renumber the labels")
    return array.astype(np.uint8 if high < 256 else np.uint16)


def names_present(ids: np.ndarray, organ_ids: Mapping[int, str] | None, path: Path) -> dict[int, str]:
    """Names of the ids that are there; those without one are told in a note."""
    present = [int(i) for i in np.flatnonzero(np.bincount(ids.ravel(order="K"))) if i != 0]
    if organ_ids is None:
        table: Mapping[int, str] = labels.names()
        remedy = "name them with --organ-ids"
    else:
        table = {int(i): _known_name(name) for i, name in organ_ids.items()}
        remedy = "--organ-ids does not name them"
    if unknown := [str(i) for i in present if i not in table]:
        logger.warning("%s: labels %s have no name and are left aside; %s", path, _listed(unknown), remedy)
    return {i: table[i] for i in present if i in table}


def _known_name(name: str, option: str = "--organ-ids") -> str:
    """The name of a structure, or of a real tumour or other lesion of a host, as in `liver_tumour`."""
    if name in labels.ids() or is_lesion_name(name):
        return name
    near = difflib.get_close_matches(name.lower().replace(" ", "_"), labels.ids(), n=3, cutoff=0.5)
    remedy = f"did you mean {', '.join(near)}?" if near else "`synthct info --organs` lists the names"
    raise InputError(f"{option}: unknown organ '{name}'; {remedy}")


def _pairs_of_text(text: str, option: str) -> list[tuple[str, str]]:
    pairs = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, sign, name = part.partition("=")
        if not sign:
            raise InputError(f"{option}: '{part}' is not ID=NAME; write 3=liver,7=kidney_left")
        pairs.append((key.strip(), name.strip()))
    return pairs


def _pairs_of_json(path: Path, option: str) -> list[tuple[str, str]]:
    content = read_table(path, f"{option}: {path}", remedy='write {"3": "liver"}')
    if not all(isinstance(name, str) for name in content.values()):
        raise InputError(f'{option}: {path}: not a table of id and name; write {{"3": "liver"}}')
    return list(content.items())


def _write(path: Path, array: np.ndarray, affine: np.ndarray, intent: str) -> None:
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code=_CODE_SCANNER)
    image.set_qform(affine, code=_CODE_SCANNER)
    image.header.set_xyzt_units("mm")
    image.header.set_intent(intent)
    image.header["descrip"] = MARK.encode()
    path.write_bytes(igzip.compress(image.to_bytes(), _GZIP_LEVEL, mtime=0))


def _grid(shape: tuple[int, ...], affine: np.ndarray) -> str:
    size = " x ".join(str(n) for n in shape)
    spacing = " x ".join(f"{s:.3g}" for s in geometry.voxel_spacing(affine))
    origin = ", ".join(f"{o:.1f}" for o in affine[:3, 3])
    return f"{size} voxels of {spacing} mm from ({origin})"


def _listed(values: list[str]) -> str:
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(values[:_SHOWN]) + more
