"""Sentences of what was measured and found to be in order. Read back, each says that something is absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prompts.vocabulary import FindingKind

Figures = Mapping[str, float]


def normal_sentence(kind: str, figures: Figures) -> str:
    """What a kind's measurement rules out, with the figure that a reader would give."""
    return _SAID[kind](figures)


def _plain(text: str) -> Callable[[Figures], str]:
    return lambda figures: text


def _steatosis(figures: Figures) -> str:
    spleen = f", spleen {figures['spleen_hu']:.0f} HU" if "spleen_hu" in figures else ""
    return f"No hepatic steatosis (liver {figures['liver_hu']:.0f} HU{spleen})."


def _kidneys(figures: Figures) -> str:
    sides = [side for side in ("right", "left") if f"{side}_mm" in figures]
    if len(sides) == 2:
        return (
            f"The kidneys are of normal length, right {figures['right_mm']:.0f} mm, left {figures['left_mm']:.0f} mm."
        )
    return f"The {sides[0]} kidney is of normal length, {figures[f'{sides[0]}_mm']:.0f} mm."


def _emphysema(figures: Figures) -> str:
    return f"No emphysema ({100 * figures['low_share']:.0f}% of the lungs below -950 HU)."


_SAID: dict[str, Callable[[Figures], str]] = {
    "asymmetry": lambda f: (
        f"The parotid glands are symmetric, right {f['right_ml']:.0f} mL, left {f['left_ml']:.0f} mL."
    ),
    FindingKind.EMPHYSEMA: _emphysema,
    FindingKind.CONSOLIDATION: _plain("No consolidation."),
    FindingKind.EFFUSION: _plain("No pleural effusion."),
    FindingKind.PNEUMOTHORAX: _plain("No pneumothorax."),
    FindingKind.CARDIOMEGALY: lambda f: (
        f"The heart is not enlarged, cardiothoracic ratio {f['cardiothoracic_ratio']:.2f}."
    ),
    FindingKind.PERICARDIAL_EFFUSION: _plain("No pericardial effusion."),
    FindingKind.CORONARY_CALCIFICATION: _plain("No coronary calcification."),
    FindingKind.ANEURYSM: lambda f: f"The aorta is not dilated, at most {f['width_mm']:.0f} mm wide.",
    FindingKind.ARTERIAL_CALCIFICATION: _plain("No calcification of the aortic wall."),
    FindingKind.STEATOSIS: _steatosis,
    FindingKind.SPLENOMEGALY: lambda f: f"The spleen is not enlarged, {f['length_mm']:.0f} mm from top to bottom.",
    "kidney length": _kidneys,
    FindingKind.STONE: _plain("No kidney stone."),
    FindingKind.ASCITES: _plain("No ascites about the liver."),
}
NORMAL_KINDS = tuple(_SAID)
