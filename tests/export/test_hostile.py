"""Cohorts from others: what is damaged or leads out of the folder is one line, and no export is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synth import cli
from synth.cohort import layout, verify
from tests.export.test_shards import seal

LAYOUTS = ("nnunet", "decathlon", "webdataset", "huggingface", "dicom")


def column(cohort: Path, name: str, value: str) -> None:
    table = pq.read_table(cohort / layout.TABLE)
    field = table.schema.get_field_index(name)
    values = pa.array([value, *table.column(name).to_pylist()[1:]], pa.string())
    pq.write_table(table.set_column(field, table.schema.field(name), values), cohort / layout.TABLE)
    seal(cohort)


@pytest.mark.parametrize("name", ["case", "split"])
@pytest.mark.parametrize("value", ["../../evil", "/abs", "", "..", "x" * 300])
def test_names_of_a_table_lead_nowhere(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    column(cohort, name, value)
    before = set(tmp_path.rglob("*"))
    for to in LAYOUTS:
        assert cli.main(["export", str(cohort), "--to", to, "--out", str(tmp_path / "a/b" / to), "-q"]) == 2
    assert {path for path in tmp_path.rglob("*") if path.name not in ("a", "b")} <= before
    assert "Traceback" not in capsys.readouterr().err


def test_an_export_wants_a_set_as_it_was_finished(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cohort / "cases/case_00001/ct.nii.gz").write_bytes(b"other")
    assert cli.main(["export", str(cohort), "--to", "decathlon", "--out", str(cohort / "out"), "-q"]) == 2
    assert "cases/case_00001/ct.nii.gz: changed since the set was finished" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"{", b"\xff", b'{"labels": 3}', b'{"sentences": {}}'])
@pytest.mark.parametrize("file", ["cohort.json", "cases/case_00000/manifest.json", "cases/case_00000/report.json"])
def test_damaged_descriptions_are_one_line(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, content: bytes
) -> None:
    checksums = cohort / layout.CHECKSUMS
    lines = [line for line in checksums.read_text().splitlines(keepends=True) if not line.endswith(f"{file}\n")]
    (cohort / file).write_bytes(content)
    checksums.write_text("".join(lines))
    for command in (["export", str(cohort), "--to", "webdataset", "--out", str(tmp_path / "out"), "-q"],):
        assert cli.main(command) in (0, 2)
    assert cli.main(["verify", str(cohort), "--quick"]) in (1, 2)
    assert "Traceback" not in (err := capsys.readouterr().err) and "fault of the program" not in err


@pytest.mark.parametrize("line", ["x  ../../etc/passwd", "x  /etc/passwd", "junk"])
def test_checksums_lead_nowhere(cohort: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    (cohort / layout.CHECKSUMS).write_text(line + "\n")
    assert cli.main(["verify", str(cohort), "--quick"]) == 2
    assert "is no hash and path of the set" in capsys.readouterr().err


def test_a_table_of_endless_values_is_refused(
    cohort: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row: Callable[..., pa.Table] = pq.read_table(cohort / layout.TABLE).slice(0, 1).take
    pq.write_table(row([0] * 2_000), cohort / layout.TABLE, compression="zstd")
    seal(cohort)
    assert cli.main(["verify", str(cohort), "--quick"]) == 1
    assert "has 'case_00000' 2000 times" in capsys.readouterr().out
    monkeypatch.setattr(verify, "_VALUES", 2_000)
    monkeypatch.setattr(verify, "_VALUES_A_BYTE", 1)
    assert cli.main(["verify", str(cohort), "--quick"]) == 1
    assert " values; copy the cohort again" in capsys.readouterr().out
