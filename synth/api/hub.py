"""Weights folders as `diffusers` users know them: from_pretrained, save_pretrained, push_to_hub."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from synth.api.calls import generate
from synth.api.opened import OpenCase
from synth.case.weights_folder import Weights
from synth.errors import InputError
from synth.files.whole import new_folder
from synth.regions import shipped_names
from synth.regions.region import FILE as REGION

_CARD = "README.md"
_WANTED = ["*.safetensors", "*.json", "*.yaml", "*.md", "*.npz.xz"]


class SynthCTPipeline:
    """Prompts to cases with one set of weights.

    SynthCTPipeline.from_pretrained("torso")("chest CT with a 2 cm nodule in the right upper lobe", seed=1).show()
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    @classmethod
    def from_pretrained(cls, name: str | Path, **hub: Any) -> SynthCTPipeline:
        """Weights that ship ("head_neck", "torso"), those in a folder, or those of a repository of the hub.

        `hub`: as of huggingface_hub.snapshot_download (revision, token, cache_dir, ..). Nothing that was downloaded is
        run or unpickled. Raises InputError where there are no weights.
        """
        if str(name) in shipped_names():
            return cls(Weights.shipped(str(name)))
        if Path(name).exists():
            return cls(Weights.open(Path(name), "from_pretrained"))
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        try:
            folder = snapshot_download(str(name), allow_patterns=_WANTED, **hub)
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"from_pretrained '{name}': is no folder, and the hub has no such weights ({reason}); "
                f"give a folder, a repository, or one of {', '.join(shipped_names())}"
            ) from error
        return cls(Weights.open(Path(folder), "from_pretrained"))

    def __call__(self, prompt: str, **options: Any) -> OpenCase:
        """One case, with the options of `synth.generate`."""
        return generate(prompt, weights=self.weights.own_folder, **options)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write region, prior, networks and model cards to a folder that is not there yet; it draws the same bits."""
        return new_folder(Path(folder), self._write)

    def push_to_hub(self, repository: str, *, private: bool = True, token: str | None = None) -> str:
        """Upload them to a repository of the hub, made where it is not there; its address.

        Args:
            repository: "name" or "organisation/name".
            private: as it is made; token: of the hub, that of `hf auth login` where None.

        Raises huggingface_hub.errors.HfHubHTTPError where the hub does not let it.
        """
        from huggingface_hub import HfApi

        api = HfApi(token=token)
        api.create_repo(repository, private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as place:
            folder = self.save_pretrained(Path(place) / "weights")
            return str(api.upload_folder(repo_id=repository, folder_path=folder))

    def _write(self, partial: Path) -> None:
        own = self.weights.folder
        for role, file in self.weights.files().items():
            inside = file.is_relative_to(own)
            target = partial / (file.relative_to(own) if inside else _place(role, file))
            target.parent.mkdir(parents=True, exist_ok=True)
            for beside in _with_config(file):
                shutil.copyfile(beside, target.with_name(beside.name))
        (partial / REGION).write_text(self.weights.region.text, encoding="utf-8")
        (partial / _CARD).write_text(self._card(), encoding="utf-8")

    def _card(self) -> str:
        """The model card: the header that the hub reads, and that of the weights where they have one."""
        own = self.weights.folder / _CARD
        said = own.read_text(encoding="utf-8") if own.is_file() else f"# synthct weights: {self.weights.region.name}\n"
        if said.startswith("---"):
            return said
        header = (
            "---\nlibrary_name: synthct\npipeline_tag: text-to-3d\ntags: [computed-tomography, segmentation]\n---\n"
        )
        return header + said


def _place(role: str, file: Path) -> Path:
    """Where a file from outside the weights' folder belongs: the `refine` that ships, beside weights of your own."""
    return Path(role) / file.name if file.suffix == ".safetensors" else Path(file.name)


def _with_config(file: Path) -> list[Path]:
    """A network's file, its configuration and its card."""
    if file.suffix != ".safetensors":
        return [file]
    return [f for f in (file, file.with_name("config.json"), file.with_name(_CARD)) if f.is_file()]
