"""The store: what is kept comes back, a kill costs a shard, bad patients are left out by name, memory stays flat."""

import multiprocessing
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synth.data import store
from synth.data.dataset import PreparedPatients
from synth.data.store import PatientEntry, Store
from synth.errors import InputError
from synth.regions import shipped


def entry(number, shape=(4, 5, 6)):
    rng = np.random.default_rng(number)
    organs = rng.integers(0, 3, shape).astype(np.uint8) if number % 2 else np.zeros(shape, np.uint8)
    hu = rng.integers(-1000, 900, shape).astype(np.int16)
    about = {
        "annotated": ("liver",),
        "facts": {"liver_ml": float(number)},
        "report": f"Report {number}.",
        "columns": {"sex": "F"},
    }
    return PatientEntry(f"p{number:03d}", "chest", hu, organs, np.zeros(shape, np.uint8), source="cases", **about)


def prepare(number):
    if number == 3:
        raise InputError("ct.nii.gz: no such file")
    if number == 5:
        raise ZeroDivisionError("of no use")
    return entry(number)


def slowly(number):
    time.sleep(0.02)
    return entry(number)


def jobs(count):
    return [(f"p{number:03d}", number) for number in range(count)]


def same(one, other):
    arrays = all(np.array_equal(getattr(one, key), getattr(other, key)) for key in ("hu", "organs", "dose"))
    return arrays and (one.name, list(one.annotated), one.facts, one.report, one.columns) == (
        other.name, list(other.annotated), other.facts, other.report, other.columns,
    )  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_kept_comes_back_and_bad_patients_are_left_out_by_name(tmp_path, workers):
    told = []
    store.write(tmp_path, jobs(40), prepare, workers, told.append)
    kept = Store(tmp_path)
    assert sum(told) == 40 and len(kept) == 38 and kept.names() == sorted(kept.names())
    assert kept.left_out == {"p003": "ct.nii.gz: no such file", "p005": "ZeroDivisionError: of no use"}
    assert all(same(found, entry(int(found.name[1:]))) for found in kept)
    assert [facts["liver_ml"] for facts in kept.facts()][:4] == [0, 1, 2, 4]
    assert same(kept[-1], entry(39)) and same(kept[2:4][1], entry(4))


def test_what_is_done_is_not_done_again_and_more_may_come(tmp_path):
    store.write(tmp_path, jobs(20), prepare)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("hu.npy")}
    store.write(tmp_path, jobs(30), prepare)
    assert len(Store(tmp_path)) == 28 and all(path.stat().st_mtime_ns == at for path, at in before.items())


def test_preparing_goes_on_by_name_after_a_kill(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=store.write, args=(tmp_path, jobs(80), slowly))
    process.start()
    while len(list(tmp_path.glob("shard_*"))) < 2:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    done = store.names_in(tmp_path)
    assert 32 <= len(done) < 80
    with pytest.raises(InputError, match="half prepared"):
        Store(tmp_path)
    asked = []
    store.write(tmp_path, jobs(80), lambda number: asked.append(number) or entry(number))
    assert len(Store(tmp_path)) == 80 and set(asked).isdisjoint({int(name[1:]) for name in done})
    assert not list(tmp_path.glob(".*"))


def test_what_is_damaged_is_one_line(tmp_path):
    with pytest.raises(InputError, match="has no prepared patients"):
        Store(tmp_path)
    store.write_shard(tmp_path, 0, [entry(1)])
    store.write_index(tmp_path)
    kept = Store(tmp_path)
    hu = tmp_path / "shard_00000" / "hu.npy"
    hu.write_bytes(hu.read_bytes()[:-9])
    with pytest.raises(InputError, match="shard_00000: cannot be read .*; remove it, and run"):
        kept[0]
    for content in (b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<i2'((\n"):
        hu.write_bytes(content)
        with pytest.raises(InputError, match="shard_00000: cannot be read .*; remove it, and run"):
            kept[0]
    (tmp_path / store.INDEX).write_bytes(b"none")
    with pytest.raises(InputError, match=r"index\.parquet: "):
        Store(tmp_path)
    store.write_shard(tmp_path, 1, [entry(1)])
    with pytest.raises(InputError, match="'p001' is in two shards"):
        store.write_index(tmp_path)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"hu": np.full((2, 3, 4), np.nan)}, r"hu.npy holds float64 \(2, 3, 4\)"),
        ({"organs": np.ones((2, 3, 5), np.uint8)}, r"organs.npy holds uint8 \(2, 3, 5\)"),
        ({"dose": np.ones((2, 3), np.uint8)}, r"dose.npy holds uint8 \(2, 3\)"),
    ],
)
def test_arrays_that_are_none_of_a_patient_are_refused(tmp_path, odd, said):
    made = entry(1, (2, 3, 4))
    store.write_shard(tmp_path, 0, [made])
    store.write_index(tmp_path)
    for key, array in odd.items():
        np.save(tmp_path / "shard_00000" / f"{key}.npy", array[None])
    with pytest.raises(InputError, match=f"shard_00000: cannot be read .{said}"):
        Store(tmp_path)[0]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("facts", "{", "not JSON"),
        ("facts", '{"liver_ml": "large"}', "is no table of reals"),
        ("columns", "[]", "is no table of strs"),
        ("shard", None, "a row without shard"),
        ("name", None, "a row without name"),
    ],
)
def test_a_table_of_odd_rows_is_one_line(tmp_path, column, value, said):
    store.write_entries(tmp_path, [entry(1)])
    table = pq.read_table(tmp_path / store.INDEX)
    table = table.set_column(
        table.schema.get_field_index(column), column, pa.array([value], table.schema.field(column).type)
    )
    pq.write_table(table, tmp_path / store.INDEX)
    with pytest.raises(InputError, match=rf"index\.parquet: .*{said}"):
        Store(tmp_path)[0]


def test_text_that_is_none_is_one_line(tmp_path):
    store.write_entries(tmp_path, [replace(entry(1), report="q" * 40)])
    file = tmp_path / store.INDEX
    table = pq.read_table(file)
    pq.write_table(table, file, compression="none", use_dictionary=False)
    file.write_bytes(file.read_bytes().replace(b"q" * 40, b"\xde" * 40))
    with pytest.raises(InputError, match=r"index\.parquet: .*UTF"):
        Store(tmp_path)


def test_organs_beyond_those_of_the_region_are_refused(tmp_path):
    made = replace(entry(1, shipped().frame.shape_at(4.0)), region="head_neck", facts={})
    made.organs[0, 0, 0] = 250
    store.write_entries(tmp_path, [made])
    with pytest.raises(InputError, match="p001 has the organ 250 of 7; prepare it again"):
        PreparedPatients(Store(tmp_path), shipped())[0]


def fact_of_another_region(number):
    made = entry(number, shipped("torso").frame.shape_at(4.0))
    return replace(made, region="torso")


def test_a_fact_that_the_region_lacks_is_one_line(tmp_path):
    store.write(tmp_path, jobs(1), fact_of_another_region, 1, lambda _: None)
    with pytest.raises(InputError, match="has the fact 'liver_ml', which region torso has not"):
        PreparedPatients(Store(tmp_path), shipped("torso"))
