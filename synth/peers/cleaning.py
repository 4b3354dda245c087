"""What MAISI's mask model leaves to be cleaned: pieces that are no organ, tumours that nobody asked for, holes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.peers.masks import largest_body
from synth.volumes.labels import MAISI_BODY, MAISI_KIDNEY_MASS, maisi_ids, maisi_names

_LOBES = tuple(name for name in maisi_ids() if name.startswith("lung_"))
_BONES = tuple(
    name
    for name in maisi_ids()
    if name.startswith(("vertebrae", "rib_", "humerus", "scapula", "clavicula", "femur", "hip_"))
    or name in ("sacrum", "skull", "sternum")
)
_HOSTS = {
    "lung_tumour": _LOBES,
    "pancreas_tumour": ("pancreas",),
    "liver_tumour": ("liver",),
    "colorectum_tumour": ("colon",),
    "bone_lesion": _BONES,
}
_ONE_PIECE = (
    *("liver", "spleen", "pancreas", "gallbladder", "stomach", "duodenum", "heart", "brain", "trachea"),
    *("urinary_bladder", "prostate", "thyroid_gland", "inferior_vena_cava", "superior_vena_cava", "sternum"),
    *(f"{name}_{side}" for name in ("kidney", "adrenal_gland") for side in ("left", "right")),
    *_LOBES,
    *(name for name in maisi_ids() if name.startswith("vertebrae")),
)
_SPECK = 30  # voxels (0.1 mL): a smaller piece of anything is none
_HEPATIC_VESSEL = 25


def cleaned(ids: np.ndarray) -> np.ndarray:
    """Ids of MAISI (X, Y, Z) uint8 of one body without holes and tumours, whose organs are whole.

    Tumours and what is cut off from its organ become what lies next to them; vessels of the liver are liver, as its
    authors have it.
    """
    ids = ids.copy()
    ids[ids == _HEPATIC_VESSEL] = maisi_ids()["liver"]
    body = largest_body(ids > 0)
    ids[~body] = 0
    ids[body & (ids == 0)] = MAISI_BODY
    hosts = {number: _HOSTS[name] for number, name in maisi_names().items() if name in _HOSTS}
    hosts[MAISI_KIDNEY_MASS] = ("kidney_left", "kidney_right")
    for number, names in hosts.items():
        _fill(ids, ids == number, np.isin(ids, [maisi_ids()[name] for name in names]))
    strays = _strays(ids) | np.isin(ids, list(hosts))
    _fill(ids, strays, (ids > 0) & ~strays)
    return ids


def _strays(ids: np.ndarray) -> np.ndarray:
    """Mask of the pieces that are cut off from an organ of one piece, and of specks of anything else but the body."""
    whole = {maisi_ids()[name] for name in _ONE_PIECE}
    strays = np.zeros(ids.shape, bool)
    for number, box in enumerate(ndimage.find_objects(ids), 1):
        if box is not None and number != MAISI_BODY:
            strays[box] |= _cut_off(ids[box] == number, one=number in whole)
    return strays


def _cut_off(mask: np.ndarray, *, one: bool) -> np.ndarray:
    """Pieces of a mask that are smaller than the largest (one), or than a speck."""
    pieces, count = ndimage.label(mask)
    if count == 1:
        return np.zeros(mask.shape, bool)
    sizes = np.bincount(pieces.ravel())[1:]
    kept = [int(sizes.argmax())] if one else np.flatnonzero((sizes >= _SPECK) | (sizes == sizes.max()))
    return mask & ~np.isin(pieces, np.add(kept, 1))


def _fill(ids: np.ndarray, holes: np.ndarray, sources: np.ndarray) -> None:
    """Give each voxel of `holes` the id of the nearest of `sources`; none where there is none."""
    if holes.any() and sources.any():
        nearest = ndimage.distance_transform_edt(~sources, return_distances=False, return_indices=True)
        ids[holes] = ids[tuple(axis[holes] for axis in nearest)]
