"""Doors: each makes one hostile input in a folder and names the command that it is given to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from studies.fuzz import folders, images, learning, others, tables, words

Door = Callable[[np.random.Generator, Path, Path], list[str]]
# (generator, folder of sound inputs, folder of this input) -> arguments of the command

DOORS: dict[str, Door] = {
    "prompts": words.prompts,
    "reports": words.reports,
    "options": words.options,
    "nifti": images.nifti_bytes,
    "headers": images.nifti_headers,
    "label_maps": images.label_maps,
    "dicom": images.dicom,
    "scans": images.scans,
    "recipes": tables.recipes,
    "indices": tables.indices,
    "organ_ids": tables.organ_ids,
    "configs": tables.configs,
    "studies": tables.studies,
    "regions": tables.regions,
    "archives": tables.archives,
    "cases": folders.cases,
    "cohorts": folders.cohorts,
    "deltas": folders.deltas,
    "evaluations": folders.evaluations,
    "results": folders.results,
    "detail": learning.detail,
    "prepared": learning.prepared,
    "checkpoints": learning.checkpoints,
    "weights": learning.weights,
    "volumes": others.volumes,
    "peers": others.peers,
}
SLOW = (
    "scans",
    "deltas",
    "evaluations",
    "prepared",
    "checkpoints",
    "weights",
    "peers",
)  # of whose inputs one in four is given
