"""The manifest: everything that could change a voxel, and nothing that changes between two equal runs."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
import time
from pathlib import Path

import pytest

from synth import provenance
from synth.provenance import Check


def _manifest(folder: Path) -> dict[str, object]:
    (folder / "base.safetensors").write_bytes(b"weights")
    (folder / "host.nii.gz").write_bytes(b"host")
    return provenance.manifest(
        command=provenance.command_line("insert", folder / "host.nii.gz", "a 2 cm cyst", seed=3, organ_ids=None),
        seeds={"base": 3},
        weights={"base": folder / "base.safetensors"},
        device="cpu float32",
        checks=[Check("liver_ml", 1500.0, 800.0, 2500.0), Check("air_share", 0.0, 0.01, 1.0)],
        inputs={"host": folder / "host.nii.gz"},
    )


def test_equal_runs_in_other_folders_at_other_times_give_the_same_manifest(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = json.dumps(_manifest(tmp_path / "a"))
    time.sleep(0.01)
    assert first == json.dumps(_manifest(tmp_path / "b"))
    assert str(tmp_path) not in first and os.path.expanduser("~/") not in first


def test_manifest_states_hashes_checks_and_versions(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    assert manifest["weights"] == {
        "base": {"file": "base.safetensors", "sha256": hashlib.sha256(b"weights").hexdigest()}
    }
    assert manifest["command"] == "synthct insert host.nii.gz 'a 2 cm cyst' --seed 3"
    assert [check["ok"] for check in manifest["checks"]] == [True, False]  # type: ignore[attr-defined]
    versions = manifest["environment"]["libraries"]  # type: ignore[index]
    assert versions["numpy"] == sys.modules["numpy"].__version__


def test_hash_follows_the_content_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"one")
    assert provenance.sha256_of_file(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"three")
    assert provenance.sha256_of_file(path) == hashlib.sha256(b"three").hexdigest()


def test_hash_of_a_series_follows_what_is_behind_a_link_too(tmp_path: Path) -> None:
    for name in ("series", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "series/0.dcm").write_bytes(b"one")
    alone = provenance.sha256_of_input(tmp_path / "series")
    (tmp_path / "series/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "series")  # a way round, which must end
    assert provenance.sha256_of_input(tmp_path / "series") == alone
    (tmp_path / "elsewhere/1.dcm").write_bytes(b"two")
    linked = provenance.sha256_of_input(tmp_path / "series")
    (tmp_path / "series/1.dcm").write_bytes(b"two")
    (tmp_path / "series/more").unlink()
    assert linked == provenance.sha256_of_input(tmp_path / "series") != alone


@pytest.mark.parametrize("prompt", ["it's", 'a "quoted" mass', "10 mm; rm -rf $HOME", "ä"])
def test_command_line_can_be_pasted_into_a_shell(prompt: str) -> None:
    words = shlex.split(provenance.command_line("generate", prompt, seed=1, organ_ids="3=liver", spacing=2.0))
    assert words == ["synthct", "generate", prompt, "--seed", "1", "--organ-ids", "3=liver", "--spacing", "2.0"]


def test_check_holds_at_its_bounds() -> None:
    assert Check("x", 1, 1, 2).ok and Check("x", 2, 1, 2).ok
    assert not Check("x", 0.999, 1, 2).ok and not Check("x", float("nan"), 1, 2).ok
