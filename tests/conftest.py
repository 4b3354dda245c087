"""Fixtures for tests of the whole path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from synth.case import order
from synth.case.plan import Sampling
from synth.draw import generated as drawing


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights like the shipped one, of tiny random networks."""
    from tests import networks
    from tests.regions import prior

    folder = tmp_path_factory.mktemp("weights")
    networks.shape().save_pretrained(folder / "shape")
    networks.base().save_pretrained(folder / "base")
    networks.refine().save_pretrained(folder / "refine")
    (folder / "prior.json").write_text(prior().to_json())
    return folder


@pytest.fixture(scope="module")
def tiny_path(tiny_weights: Path) -> Iterator[None]:
    """The path with tiny weights, two steps a network and checks that random volumes pass."""
    from synth.case import library
    from synth.provenance import Check

    with pytest.MonkeyPatch.context() as patch:
        from synth.case.weights_folder import WEIGHTS_ENV

        patch.setenv(WEIGHTS_ENV, str(tiny_weights))
        patch.setattr(order, "default_sampling", lambda: Sampling(base_steps=2, refine_steps=2, guidance=1.5))
        patch.setattr(drawing, "check_generated", lambda case, plan, region, prior: [Check("volume_ml", 1.0, 0.0, 2.0)])
        library.forget()
        yield
    library.forget()
