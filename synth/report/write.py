"""Write a report from measurements: each sentence with its facts and the masks that it speaks of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from prompts import report as language
from prompts.report_extents import ExtentFacts
from synth.report.comparison import Prior, compared
from synth.report.measurements import (
    LesionMeasurement,
    Measurements,
    OrganMeasurement,
    TargetMeasurement,
    VolumeMeasurement,
)

Section = Literal["technique", "findings", "comparison", "impression", "organs", "measurements"]
_ENCASED_DEG = 180.0  # of a vessel's outline
_NARRATIVE: tuple[Section, ...] = ("technique", "findings", "comparison", "organs", "impression")
CHANGE = "_change"  # ends the id of a lesion's comparison
# organs that the text names; every other structure is in the JSON alone (section `measurements`)
_NAMED_IN_TEXT = (
    *("brainstem", "spinal_cord", "parotid_gland_left", "parotid_gland_right", "larynx", "mandible", "esophagus"),
    *("thyroid_gland", "heart", "lung_upper_lobe_left", "lung_lower_lobe_left", "lung_upper_lobe_right"),
    *("lung_middle_lobe_right", "lung_lower_lobe_right", "liver", "gallbladder", "spleen", "pancreas"),
    *("kidney_left", "kidney_right", "urinary_bladder", "prostate"),
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sentence(_Frozen):
    """A sentence, the masks (names) that it was measured on, and every fact behind it."""

    id: str
    section: Section
    text: str
    masks: tuple[str, ...]
    facts: dict[str, JsonValue]


class Report(_Frozen):
    """A structured report; `text()` is its narrative."""

    sentences: tuple[Sentence, ...]

    def section(self, name: Section) -> tuple[Sentence, ...]:
        """The sentences of a section, in order."""
        return tuple(s for s in self.sentences if s.section == name)

    def text(self) -> str:
        """report.txt: technique, findings, comparison, organs and impression, a sentence a line."""
        parts = [(name, self.section(name)) for name in _NARRATIVE]
        return (
            "\n\n".join("\n".join([f"{name.upper()}", *(s.text for s in lines)]) for name, lines in parts if lines)
            + "\n"
        )


def write(measurements: Measurements, prior: Prior | None = None) -> Report:
    """The report of a measured case, with what changed since a `prior` CT."""
    sentences = [_technique(measurements.volume)]
    sentences += [_lesion(lesion) for lesion in measurements.lesions]
    sentences += _comparison(measurements, prior)
    sentences += [_target(target) for target in measurements.targets]
    sentences += [_organ(organ) for organ in measurements.organs]
    sentences += _impression(measurements)
    return Report(sentences=tuple(sentences))


def _technique(volume: VolumeMeasurement) -> Sentence:
    text = language.technique_sentence(_volume_facts(volume))
    return Sentence(id="volume", section="technique", text=text, masks=(), facts=volume.model_dump(mode="json"))


def _lesion(lesion: LesionMeasurement) -> Sentence:
    text = language.lesion_sentence(_lesion_facts(lesion))
    if lesion.pleura_mm is not None and not language.is_fluid(lesion.kind):
        text = f"{text} {_pleura(lesion.pleura_mm)}"
    facts = lesion.model_dump(mode="json", exclude={"name"})
    return Sentence(id=lesion.name, section="findings", text=text, masks=(lesion.name,), facts=facts)


def _pleura(gap_mm: float) -> str:
    if gap_mm == 0:
        return "It crosses the pleura."
    return f"The pleura is {language.shown_mm(gap_mm)} mm away."


def _comparison(measurements: Measurements, prior: Prior | None) -> Iterator[Sentence]:
    for name, text, facts in compared(prior, measurements.lesions) if prior else ():
        masks = (name,) if any(lesion.name == name for lesion in measurements.lesions) else ()
        yield Sentence(id=f"{name}{CHANGE}", section="comparison", text=text, masks=masks, facts=facts)


def _target(target: TargetMeasurement) -> Sentence:
    text = language.target_sentence(_target_facts(target))
    facts = target.model_dump(mode="json", exclude={"masks"})
    return Sentence(
        id=f"planning_target_{target.dose_gy}gy", section="findings", text=text, masks=target.masks, facts=facts
    )


def _organ(organ: OrganMeasurement) -> Sentence:
    section: Section = "organs" if organ.name in _NAMED_IN_TEXT else "measurements"
    text = language.organ_sentence(language.OrganFacts(organ.name, organ.volume_ml, organ.mean_hu))
    facts = organ.model_dump(mode="json", exclude={"name"})
    return Sentence(id=organ.name, section=section, text=text, masks=(organ.name,), facts=facts)


def _impression(measurements: Measurements) -> Iterator[Sentence]:
    """The conclusion; it rests on the count of lesions and targets and on what the findings' sentences hold."""
    facts: dict[str, JsonValue] = {"lesions": len(measurements.lesions), "targets": len(measurements.targets)}
    masks = (*(lesion.name for lesion in measurements.lesions), *_target_masks(measurements))
    case = language.CaseFacts(
        _volume_facts(measurements.volume),
        tuple(_lesion_facts(lesion) for lesion in measurements.lesions),
        tuple(_target_facts(target) for target in measurements.targets),
    )
    for number, line in enumerate(language.impression(case), start=1):
        yield Sentence(id=f"impression_{number}", section="impression", text=line, masks=masks, facts=facts)


def _target_masks(measurements: Measurements) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for target in measurements.targets for name in target.masks))


def _volume_facts(volume: VolumeMeasurement) -> language.VolumeFacts:
    return language.VolumeFacts(volume.spacing_mm, volume.extent_mm, volume.region, volume.lobes)


def _lesion_facts(lesion: LesionMeasurement) -> language.LesionFacts:
    seen = lesion.attributes
    return language.LesionFacts(
        id=lesion.id,
        kind=lesion.kind,
        organ=lesion.organ,
        side=lesion.side,
        segment=lesion.segment,
        long_axis_mm=lesion.long_axis_mm,
        short_axis_mm=lesion.short_axis_mm,
        volume_ml=lesion.volume_ml,
        mean_hu=lesion.mean_hu,
        sd_hu=lesion.sd_hu,
        organ_mean_hu=lesion.organ_mean_hu,
        contrast_hu=lesion.contrast_hu,
        margin=lesion.margin,
        contacts=lesion.contacts,
        spiculated=seen.spiculated,
        lobulated=seen.lobulated,
        shape=seen.shape,
        density=seen.density,
        heterogeneity=seen.heterogeneity,
        texture=seen.texture,
        necrotic=seen.necrotic,
        calcified=seen.calcified,
        rim=seen.rim,
        extent=None if lesion.extent is None else ExtentFacts(**lesion.extent.model_dump()),
        encased=tuple(name for name, degrees in lesion.vessel_contact_deg.items() if degrees >= _ENCASED_DEG),
    )


def _target_facts(target: TargetMeasurement) -> language.TargetFacts:
    return language.TargetFacts(target.dose_gy, target.side, target.volume_ml, target.long_axis_mm)
