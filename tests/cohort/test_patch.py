"""A patch adds up to the array it was made for, whatever the values, the type and the order in memory."""

from __future__ import annotations

import lzma

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.cohort import patch


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([np.int16, np.uint8, np.uint16]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.02, 1.0]),
    st.booleans(),
)
def test_a_patch_restores_any_array(dtype: type, seed: int, share: float, fortran: bool) -> None:
    rng, info = np.random.default_rng(seed), np.iinfo(dtype)
    before = rng.integers(info.min, info.max, (5, 7, 3), dtype, endpoint=True)
    other = rng.integers(info.min, info.max, before.shape, dtype, endpoint=True)
    after = np.where(rng.random(before.shape) < share, other, before)
    after = np.asfortranarray(after) if fortran else after
    packed = patch.packed({"ct.nii.gz": patch.difference(before, after)})
    assert packed == patch.packed({"ct.nii.gz": patch.difference(np.asfortranarray(before), after.copy())})
    restored = patch.applied(before, patch.unpacked(packed, before.size, "delta.xz")["ct.nii.gz"])
    np.testing.assert_array_equal(restored, after)
    assert restored.dtype == dtype


def test_what_does_not_belong_together_is_refused() -> None:
    small, large = np.zeros((2, 2, 2), np.int16), np.ones((4, 4, 4), np.int16)
    with pytest.raises(ValueError, match="are no two states of one array"):
        patch.difference(small, large)
    made = patch.difference(np.zeros_like(large), large)
    with pytest.raises(ValueError, match="is of another array"):
        patch.applied(small, made)
    with pytest.raises(ValueError, match="is of another array"):
        patch.applied(large.astype(np.uint8), made)


def test_a_file_that_holds_more_than_the_host_has_room_for_is_refused() -> None:
    with pytest.raises(ValueError, match="holds more than"):
        patch.unpacked(lzma.compress(bytes(10**6)), 9**3, "delta.xz")


@pytest.mark.parametrize("damage", [lambda c: c[:-9], lambda c: b"x" + c[1:], lambda c: b""])
def test_a_damaged_file_is_told(damage: object) -> None:
    content = patch.packed({"ct": patch.difference(np.zeros((9, 9, 9), np.int16), np.ones((9, 9, 9), np.int16))})
    assert callable(damage)
    with pytest.raises(ValueError, match="damaged"):
        patch.unpacked(damage(content), 9**3, "delta.xz")
