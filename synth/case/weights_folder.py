"""Weights: a folder that holds its region, what its patients are like, and the networks that were trained on them.

    FOLDER/region.yaml  prior.json  tone.json  shape/  base/  refine/  lesion/

What is not there is done without: no base, and the deformed mean patient stands as it is; no shape, and base draws
without it; no refine, and the one that ships draws detail. A folder of training runs is weights too: what `synthct
train out=FOLDER/base` wrote is found in FOLDER/base/best or FOLDER/base/weights, what `synthct prepare --out
FOLDER/data` wrote in FOLDER/data.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from synth.errors import InputError
from synth.files.documents import read_table
from synth.models.parts import CONFIG, TENSORS, Part
from synth.provenance import sha256_of_file
from synth.regions import Frame, Region, for_words, read, shipped
from synth.regions.prior import FILE as PRIOR
from synth.regions.prior import Prior
from synth.regions.region import DEFAULT
from synth.regions.region import FILE as REGION

if TYPE_CHECKING:
    from synth.models.denoiser import Denoiser
    from synth.models.precision import Precision
    from synth.models.tone import Tone
    from synth.shape.model import ShapeModel
    from synth.torso.model import TorsoModel

WEIGHTS_ENV = "SYNTHCT_WEIGHTS"  # a folder to use where none is named and it covers what is asked
TONE = "tone.json"
LOOKS = "looks.npz.xz"  # of a shape that is a patchwork of scans
_RUNS = ("", "best", "weights")  # below the folder of a part, where a run of `synthct train` keeps weights
_DATA = ("", "data")
_SHIPPED = Path(str(resources.files("synth").joinpath("weights")))


@dataclass(frozen=True)
class Weights:
    """See above. Raises InputError, when it is asked for, where a part is needed and not there."""

    folder: Path
    region: Region

    @staticmethod
    def open(folder: Path, asked: str = "--weights") -> Weights:
        """The weights of a folder; InputError, naming what `asked` for it, where it holds none."""
        if not folder.is_dir():
            raise InputError(f"{asked} {folder}: no such folder; give one that holds {REGION} and the networks")
        if folder.resolve().parent == _SHIPPED:
            return Weights.shipped(folder.resolve().name)
        file = _first(folder, REGION, _DATA)
        found = Weights(folder, read(file) if file else shipped())
        if found.looks is not None and found.region.scaffold != "patchwork":
            missing = f"{REGION} of 'scaffold: patchwork', which `synthct prepare` wrote, is missing"
            raise InputError(f"{asked} {folder}: {missing}; copy it there")
        if not any(found.has(part) for part in ("shape", "base", "refine")):
            raise InputError(
                f"{asked} {folder}: no weights of 'base' or 'shape' here; train them with `synthct train shape` "
                f"and `synthct train base`, out={folder / 'base'}"
            )
        return found

    @staticmethod
    def shipped(name: str = DEFAULT) -> Weights:
        """Those that come with the package for a region."""
        return Weights(_SHIPPED / name, shipped(name))

    @staticmethod
    def covering(word: str | None, folder: Path | None = None) -> Weights:
        """Weights for the region that a prompt names: of the folder asked for, of $SYNTHCT_WEIGHTS, or shipped.

        Raises InputError where they draw another region.
        """
        if folder is not None:
            weights = Weights.open(folder)
            if word is not None and word not in (*weights.region.answers, weights.region.name):
                drawn = ", ".join(weights.region.answers) or weights.region.name
                raise InputError(
                    f"--weights {folder}: draws {drawn}, not '{word}'; say so in the prompt, or give other weights"
                )
            return weights
        around = Weights.around()
        if around is not None and (word is None or word in around.region.answers):
            return around
        return Weights.shipped(_region_of(word).name)

    @staticmethod
    def around() -> Weights | None:
        """Those of $SYNTHCT_WEIGHTS, where it names a folder of weights that generate."""
        root = os.environ.get(WEIGHTS_ENV)
        return Weights.open(Path(root), f"${WEIGHTS_ENV}") if root and not _lesions_alone(Path(root)) else None

    @property
    def own_folder(self) -> Path | None:
        """The folder, where they do not come with the package."""
        return None if self.ship else self.folder

    @property
    def ship(self) -> bool:
        """Whether they come with the package."""
        return self.folder.parent == _SHIPPED

    def has(self, part: Part) -> bool:
        """Whether a part is there."""
        return self._config(part) is not None or (part == "shape" and self.looks is not None)

    @property
    def looks(self) -> Path | None:
        """The file of a shape that is a patchwork of scans."""
        return _first(self.folder / "shape", LOOKS, _RUNS)

    @property
    def has_gaussian_part(self) -> bool:
        """Whether `base` starts from a Gaussian of its patients; without one it needs more steps, and guidance."""
        if not self.has("base"):
            return True
        return read_table(self.part("base") / CONFIG).get("prior_shape") is not None

    def part(self, part: Part) -> Path:
        """The folder of a network; InputError where it is not there. `refine` is the shipped one where it has none."""
        if file := self._config(part):
            return file.parent
        if part == "refine" and self.folder != Weights.shipped().folder:
            return Weights.shipped().part("refine")
        raise InputError(f"{self.folder / part}: no weights of '{part}' here; train them with `synthct train {part}`")

    def _config(self, part: Part) -> Path | None:
        """The config.json of a network, None where it has none. InputError where its tensors are there alone."""
        file = _first(self.folder / part, CONFIG, _RUNS)
        if file is None and (tensors := _first(self.folder / part, TENSORS, _RUNS)):
            raise InputError(f"{tensors.parent / CONFIG}: is missing beside {TENSORS}; copy both, or remove both")
        return file

    @cached_property
    def prior(self) -> Prior | None:
        """What its patients are like; None for a region without facts. Raises InputError where it is not there."""
        if not self.region.facts:
            return None
        return Prior.read(_first(self.folder, PRIOR, _DATA) or self.folder / PRIOR, self.region)

    @property
    def patchwork(self) -> TorsoModel | None:
        """The scans that are put together before `refine` draws; None where networks compose, or a shape alone."""
        return None if self.looks is None else _patchwork(self.looks, self.region.frame, _changed(self.looks))

    @property
    def shape(self) -> ShapeModel | None:
        """The shape model, on the CPU; None where there is none, or scans are put together instead."""
        from synth.case import library

        return library.load_shape_from(self.part("shape")) if self.has("shape") and self.looks is None else None

    def base(self, precision: Precision | None = None) -> Denoiser | None:
        """The network that composes, ready to draw in a precision."""
        from synth.case import library

        return library.load_from(self.part("base"), precision) if self.has("base") else None

    def refine(self, precision: Precision | None = None) -> Denoiser:
        """The network that draws detail."""
        from synth.case import library

        return library.load_from(self.part("refine"), precision)

    @property
    def tone(self) -> Tone:
        """The curves that grey values are drawn on; none where there are none."""
        from synth.case import library

        return library.load_tone(self.folder / TONE)

    def files(self) -> dict[str, Path]:
        """Role -> file of everything that can change a voxel of a generated case. InputError where one is missing."""
        if self.looks is not None:
            files = {"shape": self.looks}
        else:
            files = {part: self.part(part) / TENSORS for part in ("shape", "base") if self.has(part)}
            files = files or {"base": self.part("base") / TENSORS}
        files["refine"] = self.part("refine") / TENSORS
        for role, name in (("tone", TONE), ("prior", PRIOR), ("region", REGION)):
            if file := _first(self.folder, name, _DATA):
                files[role] = file
        if "region" not in files:
            files["region"] = Path(str(resources.files("synth.regions").joinpath(f"{self.region.name}.yaml")))
        return files

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each of its files."""
        return {role: sha256_of_file(file) for role, file in self.files().items()}


def insertion_files(lesion: Path | None = None) -> dict[str, Path]:
    """Role -> file of the weights that draw lesions: those of a `lesion` network, else `refine`."""
    return {"lesion": lesion} if lesion else {"refine": Weights.covering(None).part("refine") / TENSORS}


def _region_of(word: str | None) -> Region:
    region = for_words(word or DEFAULT)
    if region is None:
        from synth.regions import shipped_names

        drawn = ", ".join(word for name in shipped_names() for word in shipped(name).answers)
        raise InputError(
            f"region '{word}': the shipped weights draw {drawn}; ask for one of these, give --weights of your own, or "
            "insert lesions into a CT of your own with `synthct insert`"
        )
    return region


def _lesions_alone(folder: Path) -> bool:
    """Whether a folder is there for a `lesion` network and nothing else."""
    return folder.is_dir() and [path.name for path in folder.iterdir()] == ["lesion"]


def _first(folder: Path, name: str, below: tuple[str, ...]) -> Path | None:
    return next((file for sub in below if (file := folder / sub / name).is_file()), None)


def _changed(file: Path) -> int:
    return file.stat().st_mtime_ns if file.is_file() else 0


@cache
def _patchwork(file: Path, frame: Frame, _mtime_ns: int) -> TorsoModel:
    from synth.torso.model import TorsoModel

    return TorsoModel.read(file, frame)
