"""cases.parquet: one row a case, with what was planned and what was measured."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from synth.cohort.records import Record
from synth.report.measurements import LesionMeasurement, OrganMeasurement, TargetMeasurement

_ROWS = 1000  # in memory at a time
_TEXT, _NUMBER, _WHOLE = pa.string(), pa.float64(), pa.int64()


def _struct(model: type[BaseModel]) -> pa.DataType:
    """The columns of a measurement, as its fields are annotated."""
    return pa.struct([(name, _type(info.annotation)) for name, info in model.model_fields.items()])


def _type(annotation: Any) -> pa.DataType:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return _type(next(part for part in get_args(annotation) if part is not type(None)))
    if origin is tuple:
        return pa.list_(_type(get_args(annotation)[0]))
    if origin is dict:
        key, value = get_args(annotation)
        return pa.map_(_type(key), _type(value))
    if origin is Literal:
        return _TEXT
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _struct(annotation)
    return {int: _WHOLE, float: _NUMBER, str: _TEXT, bool: pa.bool_()}[annotation]


_CHECK = pa.struct([("name", _TEXT), ("value", _NUMBER), ("low", _NUMBER), ("high", _NUMBER)])
SCHEMA = pa.schema(
    [
        *(("index", _WHOLE), ("case", _TEXT), ("split", _TEXT), ("group", _TEXT), ("healthy", pa.bool_())),
        *(
            ("door", _TEXT),
            ("sibling_of", _TEXT),
            ("attempts", _WHOLE),
            ("host", _TEXT),
            ("patient", _TEXT),
            ("host_sha256", _TEXT),
        ),
        *(("phase", _TEXT), ("sex", _TEXT), ("age", _WHOLE), ("prompt", _TEXT), ("plan", _TEXT)),
        *(("spacing_mm", pa.list_(_NUMBER)), ("extent_mm", pa.list_(_NUMBER)), ("region", _TEXT)),
        *(("scanner", _TEXT), ("kernel", _TEXT), ("noise_hu", _NUMBER), ("slice_mm", _NUMBER), ("dose", _NUMBER)),
        *(("beam", _TEXT), ("views", _WHOLE), ("angle_deg", _NUMBER), ("reconstruction", _TEXT), ("metal", _TEXT)),
        ("number_of_lesions", _WHOLE),
        ("lesions", pa.list_(_struct(LesionMeasurement))),
        ("targets", pa.list_(_struct(TargetMeasurement))),
        ("organs", pa.list_(_struct(OrganMeasurement))),
        ("checks", pa.list_(_CHECK)),
        ("ct_sha256", _TEXT),
    ]
)


# settings of a scanner with a column of their own; null where they were left as they are
_OF_SCANNERS = ("kernel", "noise_hu", "slice_mm", "dose", "beam", "views", "angle_deg", "reconstruction", "metal")


def row_of(record: Record, part: str) -> dict[str, Any]:
    """The row of a case, which lies in `part` of the split. Patients' facts are the host's, else the request's."""
    request, host = record.plan["request"], record.host
    scanner = record.plan.get("scanner") or {}
    known = {name: getattr(host, name) if host else request[name] for name in ("phase", "sex", "age")}
    (volume,) = record.facts("spacing_mm", "extent_mm")
    targets = record.facts("dose_gy")
    return {
        "index": record.planned.index,
        "case": record.planned.name,
        "split": part,
        "group": record.planned.group,
        "healthy": not record.plan["lesions"] and not request["targets"],
        "door": record.plan["door"],
        "sibling_of": sibling["case"] if (sibling := record.plan.get("sibling")) else None,
        "attempts": record.manifest["attempts"],
        "host": host.name if host else None,
        "patient": record.patient,
        "host_sha256": record.host_sha256,
        **known,
        "prompt": request["prompt"],
        "plan": json.dumps(record.plan, ensure_ascii=False),
        "spacing_mm": volume["spacing_mm"],
        "extent_mm": volume["extent_mm"],
        "region": volume["region"],
        "scanner": scanner.get("name"),
        **{name: scanner.get(name) for name in _OF_SCANNERS},
        "number_of_lesions": len(record.lesions),
        "lesions": record.lesions,
        "targets": [target | {"masks": target.get("masks", [])} for target in targets],
        "organs": [f for f in record.facts("voxels", "volume_ml", "sd_hu") if "kind" not in f],
        "checks": record.manifest["checks"],
        "ct_sha256": record.manifest["files"]["ct.nii.gz"]["sha256"],
    }


def write_table(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as they come; the same rows give the same bytes with the same pyarrow."""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for batch in _batches(rows):
            writer.write_table(pa.Table.from_pylist(batch, schema=SCHEMA))


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _ROWS:
            yield batch
            batch = []
    if batch:
        yield batch
