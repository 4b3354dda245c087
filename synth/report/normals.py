"""What a measurement on the case rules out, with its figures: the pertinent negatives of a report.

Only organs that are labelled are judged, and only those that the field does not cut where their size is the measure.
What cannot be ruled out is not told, whatever the findings are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from prompts.vocabulary import FindingKind
from synth.report import pockets
from synth.report.extent_figures import aortic_widths, cardiothoracic_ratio, head_foot_mm
from synth.report.location import CHEST_MM, NEAR_END_MM, Box, height_and_gap
from synth.report.measurements import OrganMeasurement, RuledOut, rounded
from synth.volumes.types import Case

MOST_RATIO = 0.50  # of a heart that is not enlarged: Danzer 1919, as a reader applies it to a CT
MOST_THORACIC_MM, MOST_ABDOMINAL_MM = 40.0, 30.0  # of an aorta that is not dilated (ESC 2014, from memory)
MOST_SPLEEN_MM, MOST_SPLEEN_ML = 130.0, 314.5  # Bezerra 2005; Prassopoulos 1997 (from memory)
LEAST_LIVER_HU, MOST_BELOW_SPLEEN_HU = 48.0, 10.0  # Pickhardt 2012; Kodama 2007 (from memory)
MOST_LOW_SHARE = 0.05  # of the lungs below -950 HU, the limit of Gevenois 1996 (from memory); the share: assumed
MOST_FLUID_ML = 4.0  # next to lungs, heart, liver or spleen; patients without fluid have 0 to 3 beside the lungs
MOST_AIR_ML = 4.0
MOST_DENSE_ML = 10.0  # of dense lung that is no vessel
CALCIUM_HU = 130  # Agatston 1990
MOST_CALCIUM_MM = 3.0  # spacing up to which small deposits show
KIDNEY_MM = (90.0, 130.0)  # length (Emamian 1993, from memory)
MOST_UNLIKE = 0.25  # of two glands that are symmetric, difference over mean

_LOBES = tuple(f"lung_{lobe}_lobe_{side}" for side in ("right", "left") for lobe in ("upper", "middle", "lower"))
LUNGS = (*_LOBES, "lung_right", "lung_left", "lung")
_KIDNEYS = ("kidney_right", "kidney_left")
Told = tuple[tuple[str, ...], dict[str, float]]


class NormalScene:
    """A case, its labelled structures with their boxes, and what was measured on each."""

    def __init__(
        self,
        case: Case,
        present: Mapping[str, tuple[int, Box]],
        organs: Mapping[str, OrganMeasurement],
        enhanced: bool | None,
    ) -> None:
        self.case, self.present, self.organs, self.enhanced = case, present, organs, enhanced
        self._coarse: pockets.CoarsePockets | None = None

    @property
    def coarse(self) -> pockets.CoarsePockets | None:
        """The case at about 4 mm; None where it is coarser."""
        if self._coarse is None:
            self._coarse = pockets.coarse(self.case)
        return self._coarse

    def labelled(self, *names: str) -> tuple[str, ...]:
        """Those of some structures that are there."""
        return tuple(name for name in names if name in self.present)

    def whole(self, name: str) -> bool:
        """Whether a structure is there and no border of the field touches it."""
        if name not in self.present:
            return False
        shape = self.case.ct.hu.shape
        return all(s.start > 0 and s.stop < n for s, n in zip(self.present[name][1], shape, strict=True))

    def both_lungs(self, bases: bool = False) -> tuple[str, ...]:
        """The labels of the lungs where both are there, and more than their bases unless `bases` are enough."""
        names = self.labelled(*LUNGS)
        sides = {side for side in ("left", "right") if any(side in name for name in names)}
        if len(sides) < 2 and "lung" not in names:
            return ()
        height, gap = height_and_gap(self.case.ct, [self.present[name][1] for name in names])
        return names if bases or height >= CHEST_MM or gap > NEAR_END_MM else ()

    def crop(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """HU and mask in the box of a structure."""
        number, box = self.present[name]
        return self.case.ct.hu[box], self.case.organs.ids[box] == number


def ruled_out(scene: NormalScene, found: set[str]) -> tuple[RuledOut, ...]:
    """Everything that the case does not have, by measurement; kinds that were `found` are passed over."""
    told = []
    for kind, (measure, unless) in _MEASURES.items():
        if found & {kind, *unless}:
            continue
        for masks, figures in measure(scene):
            told.append(RuledOut(kind=kind, masks=masks, figures={k: rounded(v) for k, v in figures.items()}))
    return tuple(told)


def _emphysema(scene: NormalScene) -> Iterator[Told]:
    names = scene.both_lungs()
    if names and scene.coarse and (low := pockets.low_share(scene.coarse, names)) < MOST_LOW_SHARE:
        yield names, {"low_share": low}


def _consolidation(scene: NormalScene) -> Iterator[Told]:
    names = scene.both_lungs()
    if names and scene.coarse and (dense := pockets.dense_lung_ml(scene.coarse, names)) < MOST_DENSE_ML:
        yield names, {"dense_ml": dense}


def _pleural_fluid(scene: NormalScene) -> Iterator[Told]:
    names = scene.both_lungs(bases=True)
    if names and scene.coarse and (fluid := pockets.fluid_behind_ml(scene.coarse, names)) < MOST_FLUID_ML:
        yield names, {"fluid_ml": fluid}


def _pleural_air(scene: NormalScene) -> Iterator[Told]:
    names = scene.both_lungs()
    if not (names and scene.coarse and "trachea" in scene.present):
        return
    if (air := pockets.air_before_ml(scene.coarse, names)) < MOST_AIR_ML:
        yield names, {"air_ml": air}


def _heart(scene: NormalScene) -> Iterator[Told]:
    names = scene.both_lungs()
    ratio = cardiothoracic_ratio(scene.case.organs) if names and scene.whole("heart") else None
    if ratio is not None and ratio < MOST_RATIO:
        yield ("heart", *names), {"cardiothoracic_ratio": ratio}


def _pericardium(scene: NormalScene) -> Iterator[Told]:
    if not (scene.whole("heart") and scene.coarse):
        return
    fluid = pockets.fluid_about_ml(scene.coarse, "heart")
    if fluid < MOST_FLUID_ML:
        yield ("heart",), {"fluid_ml": fluid}


def _aorta(scene: NormalScene) -> Iterator[Told]:
    if "aorta" not in scene.present:
        return
    above, below = aortic_widths(scene.case.organs, LUNGS)
    if above < MOST_THORACIC_MM and below < MOST_ABDOMINAL_MM and max(above, below):
        yield ("aorta",), {"width_mm": max(above, below)}


def _calcium(*names: str, cut: bool = False) -> Callable[[NormalScene], Iterator[Told]]:
    """No voxel of calcium in some structures, on a CT without contrast whose voxels are small enough to show it.

    `cut`: also of what the field cuts.
    """

    def measured(scene: NormalScene) -> Iterator[Told]:
        there = tuple(name for name in scene.labelled(*names) if cut or scene.whole(name))
        if scene.enhanced is not False or not there or scene.case.ct.spacing.max() > MOST_CALCIUM_MM:
            return
        peak = max(int(hu[mask].max()) for hu, mask in map(scene.crop, there))
        if peak < CALCIUM_HU:
            yield there, {"peak_hu": float(peak)}

    return measured


def _liver(scene: NormalScene) -> Iterator[Told]:
    liver, spleen = (scene.organs[n].median_hu if n in scene.organs else None for n in ("liver", "spleen"))
    if scene.enhanced is not False or liver is None or liver < LEAST_LIVER_HU:
        return
    if spleen is None:
        yield ("liver",), {"liver_hu": liver}
    elif liver > spleen - MOST_BELOW_SPLEEN_HU:
        yield ("liver", "spleen"), {"liver_hu": liver, "spleen_hu": spleen}


def _spleen(scene: NormalScene) -> Iterator[Told]:
    if not scene.whole("spleen"):
        return
    length = head_foot_mm(scene.case.organs, "spleen")
    if length < MOST_SPLEEN_MM and scene.organs["spleen"].volume_ml < MOST_SPLEEN_ML:
        yield ("spleen",), {"length_mm": length, "spleen_ml": scene.organs["spleen"].volume_ml}


def _kidney_size(scene: NormalScene) -> Iterator[Told]:
    whole = [name for name in _KIDNEYS if scene.whole(name)]
    lengths = {name: pockets.length_mm(scene.case, *scene.present[name]) for name in whole}
    if whole and all(KIDNEY_MM[0] <= mm <= KIDNEY_MM[1] for mm in lengths.values()):
        yield tuple(whole), {f"{name.removeprefix('kidney_')}_mm": mm for name, mm in lengths.items()}


def _ascites(scene: NormalScene) -> Iterator[Told]:
    names = scene.labelled("liver", "spleen")
    if "liver" not in names or not scene.coarse:
        return
    fluid = pockets.fluid_beside_ml(scene.coarse, names)
    if fluid < MOST_FLUID_ML:
        yield names, {"fluid_ml": fluid}


def _parotids(scene: NormalScene) -> Iterator[Told]:
    names = ("parotid_gland_right", "parotid_gland_left")
    if not all(map(scene.whole, names)):
        return
    right, left = (scene.organs[name].volume_ml for name in names)
    if abs(right - left) < MOST_UNLIKE * (right + left) / 2:
        yield names, {"right_ml": right, "left_ml": left}


_MEASURES: dict[str, tuple[Callable[[NormalScene], Iterator[Told]], tuple[str, ...]]] = {
    "asymmetry": (_parotids, ()),
    FindingKind.EMPHYSEMA: (_emphysema, (FindingKind.PNEUMOTHORAX,)),
    FindingKind.CONSOLIDATION: (_consolidation, (FindingKind.CRAZY_PAVING, FindingKind.ATELECTASIS)),
    FindingKind.EFFUSION: (_pleural_fluid, ("pleural effusion",)),
    FindingKind.PNEUMOTHORAX: (_pleural_air, ()),
    FindingKind.CARDIOMEGALY: (_heart, ()),
    FindingKind.PERICARDIAL_EFFUSION: (_pericardium, ()),
    FindingKind.CORONARY_CALCIFICATION: (_calcium("heart"), (FindingKind.PACEMAKER, FindingKind.CENTRAL_LINE, "port")),
    FindingKind.ANEURYSM: (_aorta, ()),
    FindingKind.ARTERIAL_CALCIFICATION: (_calcium("aorta", cut=True), ()),
    FindingKind.STEATOSIS: (_liver, ()),
    FindingKind.SPLENOMEGALY: (_spleen, ()),
    "kidney length": (_kidney_size, ()),
    FindingKind.STONE: (_calcium(*_KIDNEYS), ()),
    FindingKind.ASCITES: (_ascites, ()),
}
"""Kind -> how it is measured, and the kinds beside which it is not told."""
