"""Two sets of volumes made ready for a comparison: looked at, refused or read, with their features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evals.cache import Cache, default_folder
from evals.extract import Extractor, Features
from evals.networks import DEFAULT, load
from evals.protocol import choose
from evals.registry import require
from evals.stamp import Stamp, sha256_of
from evals.statistics import Measured
from evals.volumes import UsableVolume, require_one_spacing, survey
from synth.progress import Progress


@dataclass(frozen=True)
class Options:
    """How volumes are read and compared, the same for every evaluation of folders of volumes."""

    protocol: str = "windows"
    network: str = DEFAULT
    trust: bool = False
    spacing: float | None = None
    slices: int = 10
    resamples: int = 100
    splits: int = 20
    seed: int = 0
    skip_bad: bool = False
    organ_ids: Mapping[int, str] | None = None
    cache: Path = field(default_factory=default_folder)

    def settings(self) -> dict[str, str | int | float | bool | None | list[str]]:
        """For the result."""
        return {
            "protocol": self.protocol,
            "network": self.network,
            "spacing_mm": self.spacing,
            "slices": self.slices,
            "resamples": self.resamples,
            "splits": self.splits,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class VolumeSet:
    """One folder: what was usable of it, what was not, and the features of the former."""

    folder: Path
    entries: Sequence[UsableVolume]
    left_out: Mapping[str, str]
    features: Sequence[Features]

    @property
    def descriptors(self) -> np.ndarray:
        """(volumes, d)."""
        return np.stack([f.descriptor for f in self.features])

    @property
    def names(self) -> list[str]:
        """Of the volumes."""
        return [e.source.name for e in self.entries]


@dataclass(frozen=True)
class VolumeSets:
    """Groups by role; the one called `reference` gives grid and stamp."""

    groups: Mapping[str, VolumeSet]
    reference: str
    extractor: Extractor

    def __getitem__(self, role: str) -> VolumeSet:
        return self.groups[role]

    def stamp(self, synthetic: str, *, network: bool = True, preprocessing: str | None = None) -> Stamp:
        """Of a figure about the reference and one other group; without `network` where none was used."""
        features, protocol = self.extractor.network, self.extractor.protocol
        reference = self.groups[self.reference]
        return Stamp(
            network=features.name if network else "none",
            weights_sha256=features.weights_sha256 if network else "",
            real=len(reference.entries),
            synthetic=len(self.groups[synthetic].entries),
            slices=protocol.slices if network else "none",
            preprocessing=preprocessing or protocol.preprocessing,
            reference_sha256=sha256_of(e.sha256 for e in reference.entries),
        )

    def measured(self, role: str) -> list[Measured]:
        """Histograms, spectra and organs of a group."""
        return self.extractor.measured(self.groups[role].entries)

    def left_out(self) -> dict[str, str]:
        """Of all groups."""
        return {f"{g.folder.name}/{name}": why for g in self.groups.values() for name, why in g.left_out.items()}

    def notes(self) -> list[str]:
        """What a reader must know: volumes that are in two groups."""
        notes, groups = [], list(self.groups.items())
        for i, (a, one) in enumerate(groups):
            for b, other in groups[i + 1 :]:
                if n := len({e.sha256 for e in one.entries} & {e.sha256 for e in other.entries}):
                    notes.append(f"{n} volumes are in both the {a} and the {b} set, byte for byte.")
        return notes


def make(
    folders: Mapping[str, Path], metrics: Iterable[str], options: Options, progress: Progress | None = None
) -> VolumeSets:
    """Read the folders by role; the first is the reference. Raises InputError before any network runs."""
    progress = progress or Progress(quiet=True)
    metrics = list(metrics)
    looked = {}
    for role, folder in folders.items():
        with progress.step(f"read {role}", 1):
            looked[role] = survey(folder, options.organ_ids, skip_bad=options.skip_bad)
        require(metrics, len(looked[role][0]), f"{folder}")
    entries = {role: found for role, (found, _) in looked.items()}
    if options.spacing is None and options.protocol != "maisi25d":
        require_one_spacing(entries)
    protocol = choose(options.protocol, list(entries.values()), options.spacing, options.slices)
    network = load(options.network, trust=options.trust)
    groups = {}
    for role, (found, bad) in looked.items():
        with progress.step(f"features {role}", len(found)) as step:
            extractor = Extractor(Cache(options.cache), protocol, network, options.organ_ids, step.advance)
            groups[role] = VolumeSet(folders[role], found, bad, extractor.features(found))
    return VolumeSets(
        groups, next(iter(folders)), Extractor(Cache(options.cache), protocol, network, options.organ_ids)
    )
