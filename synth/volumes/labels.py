"""The label table (labels.csv): the only place where a structure has a number. No torch here."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from prompts.vocabulary import FindingKind, Organ

# Of lesions, by the order of their ids: they stand out from grey tissue and from each other.
LESION_COLOURS = ("#ff2d55", "#ffd60a", "#32d2ff", "#30d158", "#ff9f0a", "#bf5af2", "#ffffff", "#64ffda")


@dataclass(frozen=True)
class Structure:
    """One row of labels.csv; HU ranges are (low, high) of the organ's mean. maisi: its id in NVIDIA's MAISI."""

    id: int
    name: str
    snomed: str
    colour: str
    hu_native: tuple[int, int]
    hu_venous: tuple[int, int]
    maisi: int | None


@cache
def structures() -> tuple[Structure, ...]:
    """All structures, in order of id. Names follow TotalSegmentator v2 (class map `total`)."""
    text = resources.files("synth.volumes").joinpath("labels.csv").read_text()
    return tuple(
        Structure(
            int(row["id"]),
            row["name"],
            row["snomed"],
            row["colour"],
            (int(row["hu_native_low"]), int(row["hu_native_high"])),
            (int(row["hu_venous_low"]), int(row["hu_venous_high"])),
            int(row["maisi"]) if row["maisi"] else None,
        )
        for row in csv.DictReader(text.splitlines())
    )


@cache
def names() -> dict[int, str]:
    """id -> name."""
    return {s.id: s.name for s in structures()}


@cache
def ids() -> dict[str, int]:
    """name -> id."""
    return {s.name: s.id for s in structures()}


MAISI_BODY = 200  # MAISI's id of every voxel of the body that has no other
MAISI_KIDNEY_MASS = 129  # which its mask model alone draws
_MAISI_BESIDE = {
    23: "lung_tumour",
    24: "pancreas_tumour",
    25: "liver",  # its vessels
    26: "liver_tumour",
    27: "colorectum_tumour",
    128: "bone_lesion",
    132: "lung_airways",
}


@cache
def maisi_ids() -> dict[str, int]:
    """Name -> id in label maps of NVIDIA's MAISI (Guo et al. 2025), of the structures that both tables have."""
    return {s.name: s.maisi for s in structures() if s.maisi is not None}


@cache
def maisi_names() -> dict[int, str]:
    """Id in label maps of MAISI -> name here; beside those of both tables its lesions, airways and hepatic vessels."""
    return {number: name for name, number in maisi_ids().items()} | _MAISI_BESIDE


@cache
def maisi_channels() -> tuple[int, ...]:
    """Id in label maps of MAISI that each of the 125 channels of its mask autoencoder stands for, in order of ids.

    They are nothing, the structures of both tables but the cysts of kidneys, its own beside them, masses of kidneys
    and the body, as the table label_dict_124_to_132.json of MONAI's bundle maisi_ct_generative has it.
    """
    shared = {number for name, number in maisi_ids().items() if not name.startswith("kidney_cyst")}
    return tuple(sorted({0, *shared, *_MAISI_BESIDE, MAISI_KIDNEY_MASS, MAISI_BODY}))


def is_lesion_name(name: str) -> bool:
    """Whether a name is an organ and a kind of finding, as `liver_tumour`: a real lesion that a host has."""
    return any(
        name == f"{organ.value}_{kind.value}".replace(" ", "_").replace("-", "_")
        for organ in Organ
        for kind in FindingKind
    )


def mirror(name: str) -> str:
    """The name of the same structure on the other side (`kidney_left` -> `kidney_right`)."""
    if "left" in name:
        return name.replace("left", "right")
    return name.replace("right", "left")
