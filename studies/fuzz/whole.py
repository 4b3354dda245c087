"""Sound inputs of every kind, small, from which the hostile ones are made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from evals import result
from evals.benchmarks import made_up, small_cohort
from evals.stamp import Figure, Stamp
from studies.fuzz.others import write_peer
from synth import cli, report
from synth.case import folder as case_folder
from synth.case import order
from synth.cohort import finalise, layout
from synth.cohort.table import SCHEMA, write_table
from synth.volumes import labels, nifti
from synth.volumes.types import Case, LabelMap, Volume

_SHAPE = (40, 36, 20)
_AFFINE = np.diag([4.0, 4.0, 6.0, 1.0])
_AFFINE[:3, 3] = (-80.0, -72.0, -60.0)


def write_all(sound: Path) -> None:
    """Write every kind of sound input into an empty folder."""
    write_host(sound / "host")
    write_host(sound / "hosts/h")
    write_cohort(sound / "cohort")
    _write_deltas(sound)
    _write_sets(sound / "sets")
    _write_result(sound / "result.json")
    _write_series(sound / "series")
    _write_training(sound / "made_up")
    _write_weights(sound)
    write_peer(sound / "maisi")


def case() -> Case:
    """A chest in air: two lungs of two lobes each, a liver with a cyst."""
    hu, ids = np.full(_SHAPE, -1000.0), np.zeros(_SHAPE, np.uint8)
    hu[3:37, 4:32] = 40.0
    table = labels.ids()
    for side, x in (("left", slice(5, 18)), ("right", slice(22, 35))):
        for lobe, z in (("lower", slice(6, 12)), ("upper", slice(12, 19))):
            ids[x, 8:28, z] = table[f"lung_{lobe}_lobe_{side}"]
            hu[x, 8:28, z] = -850.0
    ids[20:35, 8:28, 0:5] = table["liver"]
    hu[20:35, 8:28, 0:5] = 60.0
    noise = gaussian_filter(np.random.default_rng(5).standard_normal(_SHAPE), (0.7, 0.7, 0))
    hu = np.rint(hu + 12 * noise / noise.std()).astype(np.int16)
    lesions = np.zeros(_SHAPE, np.uint8)
    lesions[26:30, 16:20, 2:4] = 1
    names = {int(i): labels.names()[int(i)] for i in np.unique(ids) if i}
    return Case(Volume(hu, _AFFINE), LabelMap(ids, _AFFINE, names), LabelMap(lesions, _AFFINE, {1: "liver_cyst_1"}))


def write_host(folder: Path) -> None:
    """ct.nii.gz and organs.nii.gz."""
    folder.mkdir(parents=True, exist_ok=True)
    made = case()
    nifti.write_volume(folder / "ct.nii.gz", made.ct)
    nifti.write_labels(folder / "organs.nii.gz", made.organs)


def write_cohort(out: Path) -> None:
    """A finished cohort of one case."""
    made, name = case(), "case_00000"
    measured = report.measure(made)
    written = report.write(measured)
    case_folder.write_case(
        layout.case_folder(out, name),
        made,
        plan_json=order.plan_json("CT of the chest", 0, 8.0, 0),
        report_json=written.model_dump_json(),
        report_text=written.text(),
        preview_png=None,
        manifest={"weights": {}, "checks": [], "attempts": 1, "environment": {}},
    )
    lesions = [lesion.model_dump(mode="json") for lesion in measured.lesions]
    said = {"case": name, "split": "train", "patient": "p", "prompt": "CT of the chest", "healthy": False}
    write_table(out / layout.TABLE, [dict.fromkeys(SCHEMA.names) | said | {"lesions": lesions, "number_of_lesions": 1}])
    counts = {"asked": 1, "complete": 1, "quarantined": 0}
    told = {"name": "fuzz", "description": "", "licence": "", "synthct": "0", "cases": counts, "split": {"train": 1}}
    (out / layout.COHORT).write_text(json.dumps(told))
    (out / layout.RECIPE).write_text("{}")
    (out / layout.CARD).write_text("# fuzz\n")
    (out / layout.CHECKSUMS).write_text(finalise.checksums(out))


def _write_deltas(sound: Path) -> None:
    """`delta`, a finished cohort of two cases, and the hosts that it differs from."""
    recipe = small_cohort.write_inputs(sound / "small", 2)
    if code := cli.main(["cohort", str(recipe), "--store", "delta", "--out", str(sound / "delta"), "-q"]):
        raise RuntimeError(f"no cohort of deltas: exit code {code}")
    (sound / "small/hosts").rename(sound / "delta_hosts")
    shutil.rmtree(sound / "small")


def _write_sets(folder: Path) -> None:
    """Ten volumes, as many as any metric needs."""
    folder.mkdir()
    for number in range(10):
        hu = case().ct.hu[::2, ::2] + np.random.default_rng(number).integers(-9, 10, (20, 18, 20), np.int16)
        nifti.write_volume(folder / f"{number}.nii.gz", Volume(hu, _AFFINE @ np.diag([2.0, 2.0, 1.0, 1.0])))


def _write_result(file: Path) -> None:
    stamp = Stamp(
        network="n", weights_sha256="0", real=10, synthetic=10, slices="s", preprocessing="p", reference_sha256="0"
    )
    made = result.Result(kind="fidelity", title="t", figures=[Figure(metric="fid", part="xy", value=1.0, stamp=stamp)])
    file.write_text(made.model_dump_json())


def _write_series(folder: Path) -> None:
    from synth.dicom.ct import ct_series
    from synth.dicom.identity import Identity

    folder.mkdir()
    identity = Identity(content="0" * 64, patient_id="p", case="c", door="insert", prompt="x", weights="0" * 16)
    for number, image in enumerate(ct_series(case().ct, identity)):
        image.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)


def _write_training(root: Path) -> None:
    """Patients of a made-up region as they come and prepared, a shape model, a run of one step."""
    root.mkdir()
    made_up.prepare(root, 9)  # one of them validates
    made_up.fit_shape(root)
    made_up.train(root, "base", steps=1)
    made_up.write_patients(root / "few", 3)


def _write_weights(sound: Path) -> None:
    """All that a folder of weights may hold."""
    root, folder = sound / "made_up", sound / "weights"
    folder.mkdir()
    for name in ("region.yaml", "prior.json"):
        shutil.copyfile(root / "data" / name, folder / name)
    shutil.copytree(root / "shape/weights", folder / "shape")
    shutil.copytree(root / "base/weights", folder / "base")
    made_up.untrained_refine().save_pretrained(folder / "refine")
