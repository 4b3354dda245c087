"""Adopting: the finished volume of any generator becomes a case folder, measured and checked like any other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prompts import CaseRequest
from synth.case import adopted_lesions as lesions_of
from synth.case import finished
from synth.case import folder as case_folder
from synth.case.doors import reading_of
from synth.case.draft import Draft
from synth.case.plan import AdoptPlan, host_name
from synth.errors import InputError
from synth.progress import Progress
from synth.provenance import Check, command_line, sha256_of_file, sha256_of_input
from synth.report import measure
from synth.report.style import Style, style_options
from synth.volumes import nifti
from synth.volumes.foreign import Conventions, Foreign, ids_beside, read_foreign
from synth.volumes.label_check import require_match
from synth.volumes.types import Case, LabelMap

_DOOR = "adopt"
_MOST_CUT_OFF = 0.05  # share of the voxels at the upper end of a window: more is no window for CT
Names = Mapping[int, str]


@dataclass(frozen=True)
class Adoption:
    """What is adopted.

    organs, lesions: label maps on the grid of the volume. organ_ids: where they are not those of labels.csv.
    lesion_ids: id -> organ and kind. prompt: what the generator was asked for. by: whom the volume is of.
    """

    volume: Path
    told: Conventions = Conventions()
    organs: Path | None = None
    organ_ids: Names | None = None
    lesions: Path | None = None
    lesion_ids: Names | None = None
    prompt: str = ""
    by: str | None = None
    trust_labels: bool = False
    style: Style = "structured"

    def inputs(self) -> dict[str, Path]:
        """Role -> file."""
        files = {"ct": self.volume, "organs": self.organs, "lesions": self.lesions}
        return {role: file for role, file in files.items() if file is not None}

    def command(self) -> str:
        """The command that makes this case again."""
        told = self.told
        options: dict[str, object] = {
            "spacing": _joined(told.spacing),
            "axes": told.axes,
            "hu": _joined(told.hu),
            "values": _joined(told.stored),
            "organs": self.organs,
            "organ_ids": nifti.written_ids(self.organ_ids),
            "lesions": self.lesions,
            "lesion_ids": nifti.written_ids(self.lesion_ids),
            "prompt": self.prompt or None,
            "by": self.by,
            "trust_labels": self.trust_labels or None,
        }
        return command_line(_DOOR, self.volume, **options, **style_options(self.style))


def adopt(what: Adoption, out: Path, progress: Progress) -> Path:
    """Write the case of a volume below `out`, named after its file; the folder. One that is complete is left alone.

    Raises InputError where grid, HU, labels or lesions are not right or not told, before anything is written.
    """
    _require_options(what)
    with progress.step("read", 1):
        foreign = read_foreign(what.volume, what.told)
        organs, lesions = _labels(what, foreign)
    plan = _plan(what)
    folder = out / plan.case
    if case_folder.is_complete(folder, plan.to_json()):
        return folder
    case_folder.require_free(folder, plan.to_json())
    case = Case(foreign.volume, organs, lesions)
    with progress.step("measure", 1):
        checks, more = tuple(_checks(case, foreign)), _more(what, foreign)
        draft = Draft(plan, case, checks, what.inputs(), measured=measure(case), more=more, drawn_by={})
    if not draft.passed:
        raise InputError(f"{what.volume}: {draft.why_not()}; mend the volume or its masks, or draw it again")
    return finished.finish_draft(folder, draft, what.command(), progress)


def _require_options(what: Adoption) -> None:
    if what.organ_ids is not None and what.organs is None:
        raise InputError("--organ-ids: names the ids of a label map; give the map too, with --organs")
    if what.lesions is None and what.lesion_ids is not None:
        raise InputError("--lesion-ids: names the ids of a map of lesions; give the map too, with --lesions")
    if what.lesions is not None and what.lesion_ids is None:
        raise InputError(f"--lesions {what.lesions}: of what kind are they? say with --lesion-ids, as in 1=lung_nodule")
    lesions_of.require_lesion_names(what.lesion_ids or {})


def _plan(what: Adoption) -> AdoptPlan:
    hashes = {role: sha256_of_input(f) if role == "ct" else sha256_of_file(f) for role, f in what.inputs().items()}
    return AdoptPlan(
        case=host_name(what.volume),
        request=_request(what.prompt),
        reading=reading_of(what.prompt, _DOOR),
        inputs=hashes,
        told=what.told,
        by=what.by,
        style=what.style,
    )


def _request(prompt: str) -> CaseRequest:
    from synth.case.doors import reading

    return reading(prompt, _DOOR).request if prompt.strip() else CaseRequest()


def _labels(what: Adoption, foreign: Foreign) -> tuple[LabelMap, LabelMap]:
    """Organs, without lesions that their map may hold, and lesions, of both files."""
    ct = foreign.volume
    parts: dict[str, np.ndarray] = {}
    organs = LabelMap(np.zeros(ct.hu.shape, np.uint8), ct.affine, {})
    if what.organs is not None:
        ids = ids_beside(what.organs, foreign)
        named = LabelMap(ids, ct.affine, nifti.names_present(ids, what.organ_ids, what.organs))
        organs, parts = lesions_of.without_lesions(named)
        require_match(ct, organs, str(what.organs), trust=what.trust_labels)
    if what.lesions is not None:
        for name, mask in _lesion_masks(what, foreign).items():
            parts[name] = parts[name] | mask if name in parts else mask
    return organs, lesions_of.lesion_map(parts, ct, str(what.lesions or what.organs))


def _lesion_masks(what: Adoption, foreign: Foreign) -> dict[str, np.ndarray]:
    """Mask (X, Y, Z) by name. Raises InputError for an id without one, or a map without lesions."""
    assert what.lesions is not None
    ids, names = ids_beside(what.lesions, foreign), what.lesion_ids or {}
    there = [int(i) for i in np.unique(ids) if i]
    if not there:
        raise InputError(f"{what.lesions}: holds no lesion; leave --lesions out for a healthy case")
    if unknown := [i for i in there if i not in names]:
        raise InputError(f"{what.lesions}: id {unknown[0]} has no name; say in --lesion-ids what it is")
    return {name: np.isin(ids, [i for i in there if names[i] == name]) for name in dict.fromkeys(names.values())}


def _checks(case: Case, foreign: Foreign) -> Iterator[Check]:
    yield from lesions_of.place_checks(case.lesions, case.organs, case.ct.spacing)
    cut_off = foreign.cut_off()
    if cut_off:
        yield Check("share_at_highest_hu", round(cut_off["at_highest"], 4), 0.0, _MOST_CUT_OFF)


def _more(what: Adoption, foreign: Foreign) -> dict[str, Any]:
    """`adopted` of the manifest: who made it, and what was said of it by whom."""
    said = {
        "by": what.by,
        "grid": {
            "spacing": "file" if what.told.spacing is None else "told",
            "axes": "file" if what.told.axes is None else "told",
        },
        "hu": what.told.hu,
        "stored": foreign.stored,
        **{name: round(share, 6) for name, share in foreign.cut_off().items()},
    }
    return {"adopted": {name: value for name, value in said.items() if value is not None}}


def _joined(numbers: tuple[float, ...] | None) -> str | None:
    return None if numbers is None else ",".join(f"{n:g}" for n in numbers)
