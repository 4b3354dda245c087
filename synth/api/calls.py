"""The commands as functions that return what they made. See docs/python.md."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from pathlib import Path

from prompts import PromptError, Reading
from synth.api.opened import OpenCase, load_case
from synth.errors import InputError
from synth.progress import Progress


def generate(
    prompt: str,
    *,
    seed: int = 0,
    index: int = 0,
    spacing: float | None = None,
    organs: str | Path | None = None,
    organ_ids: Mapping[int, str] | None = None,
    slice_mm: float | None = None,
    weights: str | Path | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> OpenCase:
    """One case from words, as `synthct generate PROMPT --seed SEED --start INDEX` makes it.

    Args:
        prompt: a prompt or a report.
        seed, index: all randomness follows from them.
        spacing: mm along all axes, 8, 4, 2 or 1; None: 2 for chest and abdomen, 4 for the head and neck.
        organs: a label map whose organs are drawn; organ_ids: names of its ids.
        slice_mm: thickness of the slices in mm.
        weights: folder of weights of your own.
        out: folder that the case folder is kept in; None: it is kept in memory alone.
        quiet: no progress bars.

    Returns:
        The finished case: `ct.hu` (X, Y, Z) int16 HU with `ct.affine` to RAS mm, `organs` and `lesions` on its grid,
        `report` as measured (mm, mL, HU), `show()`.

    Raises:
        InputError: nothing in the prompt can be drawn, or it cannot be drawn so; the message says what to do. Its kind
            RejectedError: every draw failed a check.
    """
    from synth import pipeline

    _require(prompt, seed=seed, index=index)
    with Progress(quiet) as progress:
        return kept(
            out,
            lambda folder: pipeline.generate(
                prompt,
                seed=seed,
                start=index,
                spacing=spacing,
                organs=_path(organs),
                organ_ids=organ_ids,
                slice_mm=slice_mm,
                weights=_path(weights),
                out=folder,
                progress=progress,
            )[0],
        )


def insert(
    ct: str | Path,
    organs: str | Path,
    prompt: str,
    *,
    seed: int = 0,
    organ_ids: Mapping[int, str] | None = None,
    lesion_weights: str | Path | None = None,
    trust_labels: bool = False,
    out: str | Path | None = None,
    quiet: bool = False,
) -> OpenCase:
    """Your own CT with the findings of a prompt, as `synthct insert` makes it.

    Args:
        ct: .nii.gz in HU, or the folder of a DICOM series; organs: its labels on the same grid.
        prompt: the findings in words.
        organ_ids: names of the label ids where they are not TotalSegmentator's.
        lesion_weights: weights of `synthct train lesion`.
        trust_labels: go on where labels do not look like those of their CT.
        seed, out, quiet: as of `generate`.

    Returns:
        The finished case, on the grid of the CT; see `generate`.

    Raises:
        InputError: the CT has no place for what is asked, or the files do not belong together.
    """
    from synth import pipeline

    _require(prompt, seed=seed)
    with Progress(quiet) as progress:
        return kept(
            out,
            lambda folder: pipeline.insert(
                Path(ct),
                Path(organs),
                prompt,
                seed=seed,
                organ_ids=organ_ids,
                lesion_weights=_path(lesion_weights),
                trust_labels=trust_labels,
                out=folder,
                progress=progress,
            ),
        )


def read(text: str, *, door: str = "generate") -> Reading:
    """What a prompt or report means: `drawn`, `ruled_out`, `noted` with the reason, `ignored_words()`.

    Args:
        door: whose list of what is drawn counts, "generate" or "insert".

    Raises:
        InputError: nothing in it is understood, or there is no such door.
    """
    from synth.case import doors

    _require(text)
    if door not in ("generate", "insert"):
        raise InputError(f"door '{door}': is none; say generate or insert")
    with words_as_input():
        return doors.reading(text, door)


def kept(out: str | Path | None, make: Callable[[Path], Path]) -> OpenCase:
    """The case that is made in a folder, which is left there or thrown away."""
    with words_as_input():
        if out is not None:
            return load_case(make(Path(out)))
        with tempfile.TemporaryDirectory(prefix="synthct-") as folder:
            return replace(load_case(make(Path(folder))), folder=None)


@contextmanager
def words_as_input() -> Iterator[None]:
    """Errors of words become InputError, the one that this API raises: `prompts` knows none of ours."""
    try:
        yield
    except PromptError as error:
        raise InputError(str(error)) from error


def _require(words: object, **numbers: object) -> None:
    """Raise InputError for words that are no text, and for numbers that are not whole."""
    if not isinstance(words, str):
        raise InputError(f"a prompt is a text, not {type(words).__name__}")
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, Integral):
            raise InputError(f"{name} {number!r}: is no whole number")


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)
