"""`python -m studies.golden`: SHA-256 of CT, organs and lesions of 12 cases, to see that a change changes no voxel.

Everything that draws is in them: head and neck at 8 and 4 mm, chest and abdomen, organs that are given, lesions put
into a made-up chest with their twin, follow-up and change. All in float32. The hashes hold on one machine with the same
libraries: elsewhere sums round otherwise, so make a file of your own before a change and compare after it:

    python -m studies.golden --out before.json
    python -m studies.golden --compare before.json
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from synth.models.precision import PRECISION_ENV

Hashes = dict[str, str]
Cases = dict[str, Hashes]
_PROMPTS = {
    "neck_plain": ("CT of the head and neck", 8.0),
    "neck_contrast": ("CT of the neck with contrast of a slim patient", 8.0),
    "neck_target": ("CT of the head and neck, non-contrast, with a 70 Gy target on the left side", 8.0),
    "neck_4mm": ("CT of the head and neck with a 63 Gy target of 120 mL on the right side", 4.0),
    "neck_large_4mm": ("contrast-enhanced CT of the head and neck of a large patient", 4.0),
    "chest": ("chest CT with contrast", 4.0),
    "abdomen": ("non-contrast CT of the abdomen of a large patient", 4.0),
}
_GIVEN = "neck_given"
_NODULE = "14 mm solid nodule in the right upper lobe"
_INSERTED = ("nodule", "nodule_healthy", "nodule_90d", "nodule_hyperdense")


def names() -> list[str]:
    """The cases, in the order in which they are drawn."""
    return [*_PROMPTS, _GIVEN, *_INSERTED]


def draw(folder: Path, wanted: Callable[[str], bool] = lambda _: True) -> Cases:
    """Hashes of the wanted cases, drawn below `folder`."""
    from synth import pipeline

    found: Cases = {}
    for name, (prompt, spacing) in _PROMPTS.items():
        if wanted(name):
            found[name] = hashes(pipeline.generate(prompt, seed=7, spacing=spacing, out=folder / name)[0])
    if wanted(_GIVEN):
        (first,) = pipeline.generate(_PROMPTS["neck_plain"][0], seed=7, spacing=8.0, out=folder / "neck_plain")
        organs = first / "organs.nii.gz"
        (given,) = pipeline.generate("CT of the neck", seed=11, spacing=8.0, organs=organs, out=folder / _GIVEN)
        found[_GIVEN] = hashes(given)
    if any(map(wanted, _INSERTED)):
        found |= dict(zip(_INSERTED, map(hashes, _inserted(folder)), strict=True))
    return found


def _inserted(folder: Path) -> list[Path]:
    """A case, its twin, follow-up and change, in a made-up chest."""
    from synth import pipeline
    from synth.lesions.sibling import siblings_asked
    from tests import hosts

    siblings = siblings_asked(twin=True, follow_up="90d", growth=1.4, change=("density=hyperdense",))
    return pipeline.insert_with_siblings(
        *hosts.write_chest(folder / "host"), _NODULE, siblings, seed=2, out=folder / "inserted"
    )


def hashes(folder: Path) -> Hashes:
    """SHA-256 of HU, organ ids and lesion ids of a case folder: of voxels, not of files."""
    from synth.case.folder import read_case
    from synth.provenance import sha256

    case = read_case(folder)[0]
    return {
        "ct": sha256(case.ct.hu.tobytes()),
        "organs": sha256(case.organs.ids.tobytes()),
        "lesions": sha256(case.lesions.ids.tobytes()),
    }


def differences(before: Mapping[str, Hashes], now: Mapping[str, Hashes]) -> list[str]:
    """A line for each volume of a case that is not what it was."""
    return [
        f"{name}: {what} differs"
        for name, volumes in now.items()
        for what, value in volumes.items()
        if before.get(name, {}).get(what) != value
    ]


def main(
    out: Annotated[Path | None, typer.Option(help="JSON file for the hashes.")] = None,
    compare: Annotated[
        Path | None, typer.Option(help="JSON file of hashes to compare with; exit 1 if one differs.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Draw the cases whose name begins so; may be repeated.")
    ] = None,
) -> None:
    """Print the hashes of the cases as JSON."""
    os.environ[PRECISION_ENV] = "float32"
    with tempfile.TemporaryDirectory() as folder:
        now = draw(Path(folder), lambda name: not only or name.startswith(tuple(only)))
    text = json.dumps(now, indent=1) + "\n"
    typer.echo(text, nl=False)
    if out is not None:
        out.write_text(text)
    if compare is not None and (wrong := differences(json.loads(compare.read_text()), now)):
        typer.echo("\n".join(wrong), err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
