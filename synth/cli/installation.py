"""What `synthct info` prints: versions, embedded weights, what can be asked for. Imports no heavy library."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import resources

from synth import __version__, provenance
from synth.volumes import labels

_SHOWN = ("torch", "diffusers", "transformers", "accelerate", "monai", "xformers", "numpy", "nibabel", "isal")
_MB = 1_000_000


def lines() -> Iterator[str]:
    """The report, line by line."""
    yield f"synthct {__version__}   python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield "libraries    " + ", ".join(f"{name} {version}" for name, version in _versions().items())
    weights = embedded_weights()
    total = sum(weights.values()) / _MB
    yield f"weights      {total:.1f} MB embedded" + ("" if weights else ": none, train them with `synthct train`")
    for name, size in weights.items():
        yield f"             {name} {size / _MB:.1f} MB"
    yield f"label table  {len(labels.structures())} structures (`synthct info --organs` lists them)"
    yield from _vocabulary_lines()


def structure_lines() -> Iterator[str]:
    """Id and name of every structure of labels.csv."""
    for structure in labels.structures():
        yield f"{structure.id:>4} {structure.name}"


def embedded_weights() -> dict[str, int]:
    """Weight files in the package, by path below `synth/weights`, with their size in bytes."""
    with resources.as_file(resources.files("synth").joinpath("weights")) as folder:
        files = sorted(folder.rglob("*.safetensors"))
        return {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}


def _versions() -> dict[str, str]:
    return provenance.library_versions(_SHOWN)


def _vocabulary_lines() -> Iterator[str]:
    from prompts.vocabulary import INSERTABLE_ORGANS, Region

    yield "regions      " + ", ".join(region.value for region in Region)
    yield "lesions in   " + ", ".join(organ.value for organ in INSERTABLE_ORGANS)
