"""Other generators in Python: their finished volumes, and their weights. See docs/peers.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from synth.api.calls import kept
from synth.api.opened import OpenCase
from synth.progress import Progress


def adopt(
    volume: str | Path,
    *,
    spacing: tuple[float, float, float] | None = None,
    axes: str | None = None,
    hu: tuple[float, float] | None = None,
    values: tuple[float, float] | None = None,
    organs: str | Path | None = None,
    organ_ids: Mapping[int, str] | None = None,
    lesions: str | Path | None = None,
    lesion_ids: Mapping[int, str] | None = None,
    prompt: str = "",
    by: str | None = None,
    trust_labels: bool = False,
    out: str | Path | None = None,
    quiet: bool = False,
) -> OpenCase:
    """The finished volume of any generator as a case, as `synthct adopt` makes it.

    Args:
        volume: .nii.gz, .npy, or the folder of a DICOM series.
        spacing: mm along its axes, and axes: sides that they run to ("LPS"), where its file does not say.
        hu: HU of the ends of its numbers; values: these ends, where they are not 0..1, -1..1 or 0..255.
        organs, lesions: label maps on its grid; organ_ids, lesion_ids: id -> name ("liver", "lung_nodule").
        prompt: what its generator was asked for; by: which it was.
        trust_labels: go on where labels do not look like those of their CT.
        out: folder that the case folder is kept in; None: it is kept in memory alone. quiet: no progress bars.

    Raises:
        InputError: its grid or HU are neither in its file nor told, or masks do not belong to it.
    """
    from synth.case.adopt import Adoption
    from synth.case.adopt import adopt as adopted
    from synth.volumes.foreign import parse_told

    told = parse_told(_joined(spacing), axes, _joined(hu), _joined(values))
    what = Adoption(
        Path(volume),
        told,
        organs=None if organs is None else Path(organs),
        organ_ids=organ_ids,
        lesions=None if lesions is None else Path(lesions),
        lesion_ids=lesion_ids,
        prompt=prompt,
        by=by,
        trust_labels=trust_labels,
    )
    with Progress(quiet) as progress:
        return kept(out, lambda folder: adopted(what, folder, progress))


def generate_with(
    model: str | Path,
    prompt: str,
    *,
    seed: int = 0,
    index: int = 0,
    size: tuple[int, int, int] | None = None,
    spacing: float | None = None,
    slice_mm: float | None = None,
    steps: int | None = None,
    masks: Literal["organs", "ours", "drawn", "none"] | None = None,
    mask_steps: int | None = None,
    slow: bool = False,
    organs: str | Path | None = None,
    organ_ids: Mapping[int, str] | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> OpenCase:
    """One case whose CT other people's weights draw, as `synthct generate PROMPT --model MODEL` makes it.

    Args:
        model: folder of MAISI's weights.
        prompt: a prompt or a report; seed, index: all randomness follows from them.
        size: voxels, multiples of 32; spacing: mm in a slice; slice_mm: mm of slices; None: as recommended.
        steps: of its sampler; None: as released.
        masks: whence its organs are; organs: a label map; organ_ids: names of its ids.
        mask_steps: of its mask model ("drawn"); slow: let that run on a CPU, where a mask takes hours.
        out: folder that the case folder is kept in; None: it is kept in memory alone. quiet: no progress bars.

    Raises:
        InputError: the weights are not whole, it cannot be drawn so, or every draw fails a check.
    """
    from synth.peers import path

    with Progress(quiet) as progress:
        return kept(
            out,
            lambda folder: path.generate(
                prompt,
                Path(model),
                seed=seed,
                start=index,
                out=folder,
                size=size,
                spacing=spacing,
                slice_mm=slice_mm,
                steps=steps,
                kind=masks,
                mask_steps=mask_steps,
                slow=slow,
                organs=None if organs is None else Path(organs),
                organ_ids=organ_ids,
                progress=progress,
            )[0],
        )


def _joined(numbers: tuple[float, ...] | None) -> str | None:
    return None if numbers is None else ",".join(str(n) for n in numbers)
