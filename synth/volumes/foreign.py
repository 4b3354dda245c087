"""A volume that another generator made, and what a user has to say of it because its file does not.

Generators save windowed numbers (0 to 1, -1 to 1, 0 to 255), headers without spacing, arrays without any. None of that
is guessed: what neither the file nor the user says is an InputError that names the option.
"""

from __future__ import annotations

import io
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from pydantic import BaseModel, ConfigDict

from synth.errors import InputError
from synth.files.content import bytes_of
from synth.volumes import ct_likeness, geometry, nifti
from synth.volumes.host import read_ct
from synth.volumes.types import HU_MAX, HU_MIN, Volume

Pair = tuple[float, float]
_MOST_BYTES = 2**31 + 2**16  # of an array and its header
_USUAL: tuple[Pair, ...] = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))  # what generators store their window as
_SLACK = 1e-3  # of a format's width: networks end a little beyond it
_SIDES = ("LR", "PA", "IS")
_GRID = "give --spacing X,Y,Z (mm) and --axes, the sides that its axes run to, such as LPS or RAS"
_HU = "say with --hu LOW,HIGH what HU their ends stand for, or hand over its HU"

logger = logging.getLogger(__name__)


class Conventions(BaseModel):
    """What is said of a volume where its file does not, or in its place. None: the file says it.

    spacing: mm along its axes. axes: side that each runs to, as `RAS`. hu: HU of the lowest and the highest number that
    its format holds, `stored`; or, where it is in HU already, at which it is cut off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spacing: tuple[float, float, float] | None = None
    axes: str | None = None
    hu: Pair | None = None
    stored: Pair | None = None


@dataclass(frozen=True)
class Foreign:
    """A volume as read. header: its affine as its file has it, None where that says none. stored: the numbers that
    `told.hu` stands for; None where they are HU."""

    volume: Volume
    header: np.ndarray | None
    told: Conventions
    stored: Pair | None

    def cut_off(self) -> dict[str, float]:
        """Share of the voxels at the lower and the upper end of the window that was told; none where none was."""
        if self.told.hu is None:
            return {}
        low, high = self.told.hu
        hu = self.volume.hu
        return {"at_lowest": float((hu <= round(low)).mean()), "at_highest": float((hu >= round(high)).mean())}


def parse_told(spacing: str | None, axes: str | None, hu: str | None, stored: str | None) -> Conventions:
    """From the options of the command, `0.75,0.75,3` and `LPS` and `-1000,1000`. Raises InputError."""
    mm = None if spacing is None else _numbers_of(spacing, "--spacing", (1, 3), "0.75,0.75,3")
    if mm is not None and min(mm) <= 0:
        raise InputError(f"--spacing {spacing}: mm are more than 0; write 0.75,0.75,3")
    window, ends = (
        None if text is None else _ordered(_numbers_of(text, option, (2,), example), option)
        for text, option, example in ((hu, "--hu", "-1000,1000"), (stored, "--values", "0,255"))
    )
    if ends and not window:
        raise InputError(f"--values {stored}: what HU do they stand for? give --hu LOW,HIGH too")
    if window and not HU_MIN <= window[0] < window[1] <= HU_MAX:
        raise InputError(f"--hu {hu}: a CT holds {HU_MIN} to {HU_MAX} HU; give a window within that")
    three = None if mm is None else (mm[0], mm[-1] if len(mm) == 1 else mm[1], mm[-1])
    return Conventions(spacing=three, axes=None if axes is None else _axes(axes), hu=window, stored=ends)


def read_foreign(path: Path, told: Conventions) -> Foreign:
    """A volume of .nii, .nii.gz, .npy or a DICOM series' folder, with what was told of it.

    Raises InputError where grid or HU are neither in the file nor told, in one line that names the options, and for
    numbers that are no HU even so.
    """
    if path.is_dir():
        if told != Conventions():
            raise InputError(
                f"{path}: a DICOM series says its grid and HU itself; leave --spacing, --axes and --hu out"
            )
        volume = read_ct(path)
        return Foreign(volume, volume.affine, told, None)
    numbers, header = _numbers(path)
    missing = [] if _says_grid(header, told) else [_GRID]
    try:
        hu, stored = _hu(numbers, told, path)
    except InputError as error:
        raise InputError(f"{error}; {missing[0]}" if missing else str(error)) from error
    if missing:
        raise InputError(f"{path}: says nothing of its grid, so sizes and sides are unknown; {missing[0]}")
    volume = Volume(hu, _affine(hu.shape, header, told, path))
    axis = geometry.slice_axis(volume.affine)
    if (odd := ct_likeness.odd_slice(hu, axis)) is not None:
        raise InputError(f"{path}: slice {odd[0]} of axis {axis}: {odd[1]}; draw it again, or mend it")
    return Foreign(volume, header, told, stored)


def ids_beside(path: Path, foreign: Foreign) -> np.ndarray:
    """The ids (X, Y, Z) of a label map of a foreign volume, on its grid.

    A map whose header says of its grid what that of the volume says, or as little, lies on it voxel by voxel. Raises
    InputError as `nifti.read_ids`.
    """
    numbers, header = _numbers(path)
    ids = nifti.as_ids(numbers, path)
    alike = header is None and foreign.header is None
    if header is not None and foreign.header is not None:
        alike = geometry.same_grid(ids.shape, header, foreign.volume.hu.shape, foreign.header)
    if alike and ids.shape == foreign.volume.hu.shape:
        return ids
    if header is None:
        raise InputError(
            f"{path}: says nothing of its grid and has {ids.shape} voxels, the CT {foreign.volume.hu.shape}; save it "
            "with the header of its CT"
        )
    return nifti.on_grid_of(ids, header, foreign.volume, path)


def _numbers(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Numbers (X, Y, Z) as stored or scaled by their header, and the affine if that says one."""
    if path.suffix != ".npy":
        return nifti.read_numbers(path)
    content = bytes_of(path, kind="a .npy file", most=_MOST_BYTES)
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # whatever numpy's parser of headers makes of damage
        raise InputError(f"{path}: no .npy array ({' '.join(str(error).split())[:80]}); save it again") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise InputError(f"{path}: holds no array of one number a voxel; save it again with numpy.save")
    array = array.reshape([n for n in array.shape if n != 1])  # axes of batch and channel
    if array.ndim != 3:
        raise InputError(f"{path}: shape {array.shape} has {array.ndim} axes beside those of one; a volume has 3")
    return array, None


def _says_grid(header: np.ndarray | None, told: Conventions) -> bool:
    return header is not None or (told.spacing is not None and told.axes is not None)


def _affine(shape: tuple[int, ...], header: np.ndarray | None, told: Conventions, path: Path) -> np.ndarray:
    """RAS mm. The header's, with what is told in its place; about the middle of the volume where it says no place."""
    if header is not None:
        spacing = geometry.voxel_spacing(header) if told.spacing is None else np.array(told.spacing)
        if told.spacing is not None and not np.allclose(spacing, geometry.voxel_spacing(header), rtol=1e-3):
            said = " x ".join(f"{mm:.3g}" for mm in geometry.voxel_spacing(header))
            logger.warning("%s: its header says voxels of %s mm; those of --spacing are taken", path, said)
        if told.axes is None:
            affine = header.copy()
            affine[:3, :3] *= spacing / geometry.voxel_spacing(header)
            return geometry.check_affine(affine, str(path))
        if (said := "".join(nib.orientations.aff2axcodes(header))) != told.axes:
            logger.warning("%s: its header says that its axes run %s; those of --axes are taken", path, said)
    else:
        assert told.spacing is not None and told.axes is not None
        spacing = np.array(told.spacing)
    turn = nib.orientations.axcodes2ornt(tuple(str(told.axes)))
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(turn):
        affine[int(world), axis] = sign * spacing[axis]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return geometry.check_affine(affine, str(path))


def _hu(numbers: np.ndarray, told: Conventions, path: Path) -> tuple[np.ndarray, Pair | None]:
    """int16 HU (X, Y, Z), and the numbers that the told HU stand for, None where they are HU already."""
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        bad = int(numbers.size - np.isfinite(numbers).sum())
        raise InputError(f"{path}: {bad} voxels are NaN or infinite; fill them (air is -1000 HU) and save again")
    if told.hu is None:
        ct_likeness.require_ct(numbers, str(path), remedy=_HU)
        return ct_likeness.as_hu(numbers, str(path)), None
    stored = told.stored or _usual_ends(numbers, told.hu, path)
    (low, high), (first, last) = told.hu, stored or told.hu
    beyond = int(((numbers < first) | (numbers > last)).sum())
    if beyond:
        logger.warning("%s: %d voxels are beyond %g to %g; they are read as its ends", path, beyond, first, last)
    share = (numbers.clip(first, last).astype(np.float32) - np.float32(first)) / np.float32(last - first)
    hu = np.rint(np.float32(low) + share * np.float32(high - low)).astype(np.int16)
    ct_likeness.require_ct(hu, f"{path} by --hu {low:g},{high:g}", remedy="hand over its HU", clipped=True)
    return hu, stored


def _usual_ends(numbers: np.ndarray, hu: Pair, path: Path) -> Pair | None:
    """The ends of the format that a generator's numbers are in; None where they are HU within the window.

    Raises InputError where they are neither.
    """
    low, high = float(numbers.min()), float(numbers.max())
    usual = [e for e in _USUAL if min(low - e[0], e[1] - high) >= -_SLACK * (e[1] - e[0])]
    if usual:
        logger.warning("%s: %g to %g are read as %g to %g HU; say others with --values", path, *usual[0], *hu)
        return usual[0]
    if hu[0] - 0.5 <= low and high <= hu[1] + 0.5:
        return None
    raise InputError(
        f"{path}: values {low:.4g} to {high:.4g} are neither 0..1, -1..1 or 0..255 nor HU within "
        f"--hu {hu[0]:g},{hu[1]:g}; say with --values LOW,HIGH what its ends are stored as"
    )


def _numbers_of(text: str, option: str, counts: tuple[int, ...], example: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in counts or not all(math.isfinite(n) for n in numbers):
        raise InputError(f"{option} {text[:40]}: is not {counts[-1]} numbers; write {example}")
    return numbers


def _ordered(numbers: tuple[float, ...], option: str) -> Pair:
    low, high = numbers
    if low >= high:
        raise InputError(f"{option} {low:g},{high:g}: the first is the lower end; write it first")
    return low, high


def _axes(text: str) -> str:
    axes = text.upper()
    if len(axes) != 3 or any(not set(pair) & set(axes) for pair in _SIDES):
        raise InputError(f"--axes {text[:20]}: is not one letter each of L/R, P/A and I/S; write LPS or RAS")
    return axes
