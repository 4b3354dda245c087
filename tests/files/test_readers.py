"""What is read from disk is bounded and says one thing: each hostile file is one line, quickly and in little memory."""

from __future__ import annotations

import lzma
import os
from pathlib import Path

import numpy as np
import pytest

from synth.errors import InputError
from synth.files.arrays import Wanted, read_arrays
from synth.files.compressed import unxz
from synth.files.content import bytes_of, text_of
from synth.files.documents import parse_json, parse_yaml, read_json
from synth.files.names import require_name, within
from synth.files.tables import read_csv

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "more than 200000 values"),
        ("a: &a [*a]", "stands in itself"),
        ("a: *nothing", "stands in itself, or for nothing"),
        ("[" * 5000 + "]" * 5000, "nest"),
        ("[" * 65 + "]" * 65, "nested more than 64 deep"),
        ("split: {a: 1}\nsplit: {b: 1}", "key 'split' is given twice"),
        ('ids: {3: liver, "3": spleen}', "key '3' is given twice"),
        ("ids: {3: liver, 3.0: spleen}", "key '3.0' is given twice"),
        ("ids: {012: liver}", "012: reads as a number to another base"),
        ("n: 0x10", "another base"),
        ("n: 1:30", "another base"),
        ("n: 1:30.5", "base 60"),
        ("n: .inf", "no finite number"),
        ("n: .nan", "no finite number"),
        ("n: 1.0e+999", "no finite number"),
        ("n: " + "9" * 5000, "a number of 5000 digits"),
        ("n: !!int x", "type tag:yaml.org,2002:int is not used"),
        ("n: !!python/object/apply:os.system [true]", "is not used"),
        ('n: "\\ud800"', "invalid Unicode character"),
        ('n: "a\\0b"', "control character"),
        ("? [a, b]\n: 1", "a key is a word or a number"),
        ("a: 1\n---\na: 2", "not YAML"),
    ],
)
def test_yaml_that_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "a.yaml")
    assert said in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_yaml_that_is_read() -> None:
    assert parse_yaml("a: 2024-99-99\nb: 010.5\nc: -12\nd: 1_000\ne: 1.5e3", "x") == {
        "a": "2024-99-99",
        "b": 10.5,
        "c": -12,
        "d": 1000,
        "e": "1.5e3",  # YAML 1.1 wants a sign: pydantic reads the text as the number that it is
    }
    assert parse_yaml("x: &x {p: 1, q: 2}\ny: {<<: *x, q: 3}", "x")["y"] == {"p": 1, "q": 3}
    assert parse_yaml("", "x") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "nested more than 64 deep"),
        ("[" * 70 + "]" * 70, "nested more than 64 deep"),
        ('{"3": "liver", "3": "spleen"}', "key '3' is given twice"),
        ("[NaN]", "no finite number"),
        ("[-Infinity]", "no finite number"),
        ("[1e999]", "no finite number"),
        ("[" + "9" * 5000 + "]", "a number of 5000 digits"),
        ('["\\ud800"]', "no UTF-8"),
        ("", "not JSON"),
    ],
)
def test_json_that_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_json(text, "a.json", remedy="write it again")
    assert said in str(caught.value) and str(caught.value).endswith("; write it again")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_mark_before_the_text_is_no_part_of_it(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.json").write_text('{"é": 1}', encoding=encoding)
    assert read_json(tmp_path / "a.json") == {"é": 1}
    (tmp_path / "a.csv").write_text("host,age\né,5\n", encoding=encoding)
    assert read_csv(tmp_path / "a.csv").rows == ({"host": "é", "age": "5"},)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "big").write_bytes(b"x" * 100)
    for path, said in (
        (tmp_path / "pipe", "is a pipe or device"),
        (Path("/dev/zero"), "is a pipe or device"),
        (tmp_path, "is a folder"),
        (tmp_path / "none", "no such file"),
        (tmp_path / "big" / "below", "no such file"),
        (tmp_path / ("x" * 300), "name too long"),
        (Path("a\0b"), "null byte"),
        (tmp_path / "big", "is larger than"),
    ):
        with pytest.raises(InputError, match=said):
            bytes_of(path, most=99)


def test_text_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match=r"a.txt: is not UTF-8 \(byte 3\)"):
        text_of(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no column 'host'; it has none"),
        (b"name\nx\n", "no column 'host'; it has name"),
        (b"host,host\na,b\n", "column 'host' stands there twice"),
        (b"host,age\na\n", "row 2 has 1 cells, the header 2"),
        (b"host,age\na,1,2\n", "row 2 has 3 cells"),
        (b"host\na\0b\n", "holds NUL bytes"),
        (b"host\n" + b"x" * 140_000, "field larger than field limit"),
        (b'host\n"x', "not CSV"),
    ],
)
def test_csv_that_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_csv(tmp_path / "a.csv", needs=["host"])


def test_csv_as_spreadsheets_save_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfhost;age\r\n 001 ;5\r\n;\r\n"a;b";6\r\n')
    assert read_csv(tmp_path / "a.csv").rows == ({"host": "001", "age": "5"}, {"host": "a;b", "age": "6"})
    (tmp_path / "b.csv").write_bytes(b"host\nM\xfcller\n")
    assert read_csv(tmp_path / "b.csv").rows == ({"host": "Müller"},)
    assert "is not UTF-8; read as Windows-1252" in caplog.text


def test_xz_is_unpacked_as_far_as_is_wanted() -> None:
    packed = lzma.compress(bytes(1000))
    assert unxz(packed, 1000, "x") == bytes(1000)
    for content, most in ((packed, 999), (packed[:-1], 1000), (packed + b"x", 1000), (b"junk", 10), (b"", 10)):
        with pytest.raises(InputError):
            unxz(content, most, "x")


@pytest.mark.parametrize("kept", [{"hu": np.zeros((2, 2))}, {"hu": np.zeros((0, 2, 2))}, {"hu": np.array(3)}, {}])
def test_arrays_of_another_shape_are_refused(tmp_path: Path, kept: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "a.npz", **kept)
    with pytest.raises(InputError, match="a.npz: .*; prepare it again"):
        read_arrays(tmp_path / "a.npz", {"hu": Wanted(3)}, remedy="prepare it again")


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    wanted = {"hu": Wanted(1, low=0)}
    np.savez_compressed(tmp_path / "a.npz", hu=np.arange(1000))
    whole = (tmp_path / "a.npz").read_bytes()
    assert read_arrays(whole, wanted)["hu"].shape == (1000,)
    np.save(tmp_path / "array.npy", np.arange(4))
    np.savez(tmp_path / "object.npz", hu=np.array([{}], object))
    np.savez(tmp_path / "nan.npz", hu=np.array([np.nan]))
    np.savez(tmp_path / "less.npz", hu=np.array([-1]))
    others = [(tmp_path / name).read_bytes() for name in ("array.npy", "object.npz", "nan.npz", "less.npz")]
    for content in (b"", b"PK", whole[:-30], whole[:200], *others):
        with pytest.raises(InputError):
            read_arrays(content, wanted)
    with pytest.raises(InputError, match="more than 1000"):
        read_arrays(whole, wanted, most=1000)


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "../x", "/abs", "a/b", "a\\b", "a\0b", "a\nb", ".hidden", "-x", "x" * 300, "\udcff", 3]
)
def test_names_that_become_no_path(name: object) -> None:
    with pytest.raises(InputError, match="^split"):
        require_name(name, "split")


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "out").symlink_to(tmp_path)
    assert within(tmp_path / "in", "Größe 1") == tmp_path / "in" / "Größe 1"
    with pytest.raises(InputError, match="through a link"):
        within(tmp_path / "in", "out", "x")
