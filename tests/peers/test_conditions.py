"""What MAISI is told: its 117 shared labels both ways, bits, regions, and times that are MONAI's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.peers import conditions, sampling
from synth.volumes import labels
from synth.volumes.labels import MAISI_BODY, maisi_ids, maisi_names
from synth.volumes.types import LabelMap

# A few of its table as its authors name them, from each stretch of ids.
THEIRS = {
    "liver": 1,
    "right kidney": 5,
    "bladder": 15,
    "left lung upper lobe": 28,
    "right lung lower lobe": 32,
    "vertebrae L5": 33,
    "vertebrae C1": 56,
    "left rib 1": 63,
    "right rib 12": 86,
    "left hip": 95,
    "right iliopsoas": 107,
    "right kidney cyst": 117,
    "vertebrae S1": 127,
}


def ours(name: str) -> str:
    """The rule from their names to TotalSegmentator's: the side goes to the end."""
    words = {"bladder": "urinary bladder"}.get(name, name).split()
    if words[0] in ("left", "right"):
        side, rest = words[0], words[1:]
        if rest[0] == "lung":
            return f"lung_{rest[1]}_lobe_{side}"
        return f"rib_{side}_{rest[1]}" if rest[0] == "rib" else "_".join([*rest, side])
    return "_".join(words)


def test_117_structures_have_an_id_in_both_tables() -> None:
    assert len(maisi_ids()) == len(set(maisi_ids().values())) == 117
    assert {s.name for s in labels.structures() if s.id <= 117} == set(maisi_ids())
    assert {name: maisi_ids()[ours(name)] for name in THEIRS} == THEIRS
    assert all(maisi_names()[number] == name for name, number in maisi_ids().items())


def test_labels_go_there_and_back() -> None:
    """Every one of the 117 in a voxel of its own, and the body around."""
    ids = np.arange(120, dtype=np.uint8).reshape(4, 5, 6)
    ids[ids > 117] = 0
    names = {s.id: s.name for s in labels.structures() if s.id <= 117}
    body = np.zeros(ids.shape, bool)
    body[3, 4, 4] = True
    told, unknown = conditions.to_maisi(LabelMap(ids, np.eye(4), names), body)
    assert told[3, 4, 4] == MAISI_BODY and told[0, 0, 0] == told[3, 4, 5] == 0 and not unknown
    assert all(told[ids == number][0] == maisi_ids()[name] for number, name in names.items())
    back = conditions.from_maisi(told, np.eye(4))
    assert np.array_equal(back.ids, ids) and dict(back.names) == names


def test_what_it_has_no_id_for_is_body_to_it() -> None:
    ids = np.full((2, 2, 2), 135, np.uint8)
    told, unknown = conditions.to_maisi(LabelMap(ids, np.eye(4), {135: "mandible"}), np.zeros(ids.shape, bool))
    assert (told == MAISI_BODY).all() and unknown == ["mandible"]


def test_its_vessels_and_airways_are_organs_of_ours_and_its_tumours_are_none() -> None:
    ids = np.array([25, 132, 26, 200, 1, 16, 0, 57], np.uint8).reshape(2, 2, 2)
    back = conditions.from_maisi(ids, np.eye(4))
    table = labels.ids()
    wanted = ["liver", "lung_airways", None, None, "liver", None, None, "trachea"]
    assert back.ids.ravel().tolist() == [0 if name is None else table[name] for name in wanted]


def test_bits_of_an_id_are_channels_the_least_first() -> None:
    ids = np.array([0, 1, 2, 128, 200, 255, 77, 5], np.uint8).reshape(2, 2, 2)
    code = conditions.bits(ids)
    assert code.shape == (1, 8, 2, 2, 2) and code[0, :, 0, 0, 1].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    weights = torch.tensor([2**b for b in range(8)]).view(8, 1, 1, 1)
    assert torch.equal((code[0] * weights).sum(dim=0), torch.from_numpy(ids).float())


@pytest.mark.parametrize(
    ("names", "span"),
    [
        (["lung_upper_lobe_left"], (1, 1)),
        (["lung_upper_lobe_left", "liver"], (1, 2)),
        (["liver", "femur_left"], (2, 3)),
        (["skull", "femur_right"], (0, 3)),
        ([], (1, 1)),
    ],
)
def test_regions_are_read_off_the_labels(names: list[str], span: tuple[int, int]) -> None:
    assert conditions.span(np.array([maisi_ids()[name] for name in names], np.uint8)) == span
    assert conditions.one_hot(span[1])[0].tolist() == [100.0 * (n == span[1]) for n in range(4)]


@pytest.mark.parametrize(("side", "first"), [(64, [1000, 983, 965.5]), (128, [1000, 991.5, 982.5])])
def test_times_are_those_of_monai(side: int, first: list[float]) -> None:
    """t' = r t / (1 + (r - 1) t) with r = (latent voxels / 32^3)^(1/3), in half precision."""
    times = sampling.scheduler("rflow", 30, (side,) * 3).timesteps
    t, r = 1 - torch.arange(30, dtype=torch.float64) / 30, side / 32
    assert times[:3].tolist() == first and times.dtype == torch.float16 and len(times) == 30
    assert torch.equal(times, (1000 * r * t / (1 + (r - 1) * t)).half())


def test_times_of_the_ddpm_run_through_all_that_it_learned() -> None:
    assert sampling.scheduler("ddpm", 1000, (16, 16, 16)).timesteps.tolist() == list(range(999, -1, -1))
