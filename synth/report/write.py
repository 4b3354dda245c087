"""Write a report from measurements: each sentence with its facts and the masks that it speaks of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from prompts import report as language
from prompts.report_extents import ExtentFacts
from prompts.report_impression import impression
from prompts.report_normals import normal_sentence
from prompts.report_systems import SYSTEMS, TARGETS, paragraph_of, system_of
from synth.report.comparison import PriorStudy, compared
from synth.report.measurements import (
    LesionMeasurement,
    Measurements,
    OrganMeasurement,
    RuledOut,
    TargetMeasurement,
)
from synth.report.style import Style

Section = Literal["technique", "findings", "normal", "comparison", "impression", "measurements"]
_ENCASED_DEG = 180.0  # of a vessel's outline
CHANGE = "_change"  # ends the id of a lesion's comparison


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReportSentence(_Frozen):
    """A sentence, the masks (names) that it was measured on, and every fact behind it.

    `system`: the heading that findings, and what is normal, stand under. `measurements` are in no text.
    """

    id: str
    section: Section
    text: str
    masks: tuple[str, ...]
    facts: dict[str, JsonValue]
    system: str | None = None


class Report(_Frozen):
    """A report: sentences, and how `text()` sets them."""

    sentences: tuple[ReportSentence, ...]
    style: Style = "structured"

    def __str__(self) -> str:
        return self.text()

    def section(self, name: Section) -> tuple[ReportSentence, ...]:
        """The sentences of a section, in order."""
        return tuple(s for s in self.sentences if s.section == name)

    def text(self) -> str:
        """report.txt: technique, findings by organ system or in paragraphs, comparison and impression."""
        parts = {
            "TECHNIQUE": [s.text for s in self.section("technique")],
            "FINDINGS": self._findings(),
            "COMPARISON": [s.text for s in self.section("comparison")],
            "IMPRESSION": [s.text for s in self.section("impression")],
        }
        return "\n\n".join("\n".join([title, *lines]) for title, lines in parts.items() if lines) + "\n"

    def _findings(self) -> list[str]:
        """A line a system with its heading; or paragraphs without. What was found comes before what is normal."""
        told = [*self.section("findings"), *self.section("normal")]
        by_system = {name: " ".join(s.text for s in told if s.system == name) for name in SYSTEMS}
        there = {name: text for name, text in by_system.items() if text}
        if self.style == "structured":
            return [f"{name}: {text}" for name, text in there.items()]
        paragraphs = [" ".join(t for name, t in there.items() if paragraph_of(name) == n) for n in range(3)]
        return [text for text in paragraphs if text]


def write(measurements: Measurements, prior: PriorStudy | None = None, style: Style = "structured") -> Report:
    """The report of a measured case, with what changed since a `prior` CT."""
    sentences = [_technique(measurements)]
    sentences += [_lesion(lesion) for lesion in measurements.lesions]
    sentences += [_target(target) for target in measurements.targets]
    sentences += [_normal(one) for one in measurements.ruled_out]
    sentences += _comparison(measurements, prior)
    sentences += _impression(measurements)
    sentences += [_organ(organ) for organ in measurements.organs]
    return Report(sentences=tuple(sentences), style=style)


def _technique(measured: Measurements) -> ReportSentence:
    text = language.technique_sentence(_volume_facts(measured))
    return ReportSentence(
        id="volume", section="technique", text=text, masks=(), facts=measured.volume.model_dump(mode="json")
    )


def _lesion(lesion: LesionMeasurement) -> ReportSentence:
    facts = lesion.model_dump(mode="json", exclude={"name"})
    return ReportSentence(
        id=lesion.name,
        section="findings",
        text=language.lesion_sentence(_lesion_facts(lesion)),
        masks=(lesion.name,),
        facts=facts,
        system=system_of(lesion.kind, lesion.organ),
    )


def _normal(one: RuledOut) -> ReportSentence:
    """What the case does not have."""
    facts: dict[str, JsonValue] = {"ruled_out": one.kind, **one.figures}
    return ReportSentence(
        id=f"no_{one.kind.replace(' ', '_').replace('-', '_')}",
        section="normal",
        text=normal_sentence(one.kind, one.figures),
        masks=one.masks,
        facts=facts,
        system=system_of(one.kind),
    )


def _comparison(measurements: Measurements, prior: PriorStudy | None) -> Iterator[ReportSentence]:
    for name, text, facts in compared(prior, measurements.lesions) if prior else ():
        masks = (name,) if any(lesion.name == name for lesion in measurements.lesions) else ()
        yield ReportSentence(id=f"{name}{CHANGE}", section="comparison", text=text, masks=masks, facts=facts)


def _target(target: TargetMeasurement) -> ReportSentence:
    text = language.target_sentence(_target_facts(target))
    facts = target.model_dump(mode="json", exclude={"masks"})
    name = f"planning_target_{target.dose_gy}gy"
    return ReportSentence(id=name, section="findings", text=text, masks=target.masks, facts=facts, system=TARGETS)


def _organ(organ: OrganMeasurement) -> ReportSentence:
    text = language.organ_sentence(language.OrganFacts(organ.name, organ.volume_ml, organ.mean_hu))
    facts = organ.model_dump(mode="json", exclude={"name"})
    return ReportSentence(id=organ.name, section="measurements", text=text, masks=(organ.name,), facts=facts)


def _impression(measurements: Measurements) -> Iterator[ReportSentence]:
    """The conclusion; it rests on the count of lesions and targets and on what the findings' sentences hold."""
    facts: dict[str, JsonValue] = {"lesions": len(measurements.lesions), "targets": len(measurements.targets)}
    masks = (*(lesion.name for lesion in measurements.lesions), *_target_masks(measurements))
    case = language.CaseFacts(
        _volume_facts(measurements),
        tuple(_lesion_facts(lesion) for lesion in measurements.lesions),
        tuple(_target_facts(target) for target in measurements.targets),
    )
    for number, line in enumerate(impression(case), start=1):
        yield ReportSentence(id=f"impression_{number}", section="impression", text=line, masks=masks, facts=facts)


def _target_masks(measurements: Measurements) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for target in measurements.targets for name in target.masks))


def _volume_facts(measured: Measurements) -> language.VolumeFacts:
    volume = measured.volume
    told = {lesion.organ for lesion in measured.lesions if lesion.segment}
    return language.VolumeFacts(
        volume.spacing_mm,
        volume.extent_mm,
        volume.region,
        volume.lobes,
        volume.enhanced,
        segments="approximate" if "liver" in told else None,
        stations="approximate" if "mediastinum" in told else None,
    )


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
        pleura_mm=lesion.pleura_mm,
        depth_mm=lesion.depth_mm,
        extent=None if lesion.extent is None else ExtentFacts(**lesion.extent.model_dump()),
        encased=tuple(name for name, degrees in lesion.vessel_contact_deg.items() if degrees >= _ENCASED_DEG),
    )


def _target_facts(target: TargetMeasurement) -> language.TargetFacts:
    return language.TargetFacts(target.dose_gy, target.side, target.volume_ml)
