"""From masks with one id a lesion to one label map of numbered classes, the same numbers over a whole cohort."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np

from synth.case import folder as case_folder
from synth.cohort import layout
from synth.errors import InputError
from synth.export import Labels
from synth.export.source import intact
from synth.volumes.labels import is_lesion_name
from synth.volumes.types import Case, LabelMap

BACKGROUND = "background"

logger = logging.getLogger(__name__)
_INSTANCE = re.compile(r"_\d+$")


def class_of(lesion: str) -> str:
    """`lung_nodule_2` -> `lung_nodule`; a planning target is a class of its own."""
    return _INSTANCE.sub("", lesion)


def class_numbers(cohort: Path, cases: list[str], labels: Labels) -> dict[str, int]:
    """Class -> number, consecutive from 0 (background): organs in the order of their ids, then lesions by name.

    A lesion type that the host's own labels name as well (`lung_nodule`) is one class, and a real lesion of a host that
    is named is a class like those that were inserted. Raises InputError where the
    cohort has no such masks.
    """
    organs: dict[str, int] = {}
    lesions: set[str] = set()
    for name in cases:
        folder = layout.case_folder(cohort, name)
        tables = case_folder.read_manifest(folder)["labels"]
        with intact(folder):
            organs |= {organ: int(number) for number, organ in tables["organs"].items()}
            lesions |= {class_of(lesion) for lesion in tables["lesions"].values()}
        lesions |= {organ for organ in tables["organs"].values() if is_lesion_name(organ)}
    names = [] if labels is Labels.lesions else sorted(organs.keys() - lesions, key=lambda o: (organs[o], o))
    names += [] if labels is Labels.organs else sorted(lesions)
    if not names:
        raise InputError(f"{cohort}: no {labels} in it; choose other --labels")
    return {name: number for number, name in enumerate(dict.fromkeys([BACKGROUND, *names]))}


def label_map(case: Case, numbers: dict[str, int]) -> LabelMap:
    """One map (X, Y, Z) of the classes in `numbers`; a voxel of a lesion keeps no organ.

    Labels of a host without a name become background, which a note tells in mL.
    """
    counts = np.bincount(case.organs.ids.ravel(order="K"))
    if nameless := [i for i in np.flatnonzero(counts) if i and int(i) not in case.organs.names]:
        ml = float(counts[nameless].sum()) * case.ct.voxel_ml
        listed = ", ".join(str(i) for i in nameless[:5])
        logger.warning(
            "labels %s of a host have no name: %.0f mL are background; name them with --organ-ids", listed, ml
        )
    ids = np.zeros(case.ct.hu.shape, np.uint16 if len(numbers) > 256 else np.uint8)
    for source in (case.organs, case.lesions):
        for number, name in source.names.items():
            wanted = numbers.get(name, numbers.get(class_of(name)))
            if wanted is not None:
                ids[source.ids == number] = wanted
    return LabelMap(ids, case.ct.affine, {number: name for name, number in numbers.items() if number})
