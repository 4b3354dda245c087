"""What the server gives, and what it does not."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import json
import logging
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synth import cli
from synth.errors import InputError
from synth.provenance import Check
from synth.viewer import page
from synth.viewer.described import described
from synth.viewer.gallery import rows
from synth.viewer.server import Viewer
from synth.viewer.shelf import opened
from synth.volumes.labels import structures
from tests.viewer.conftest import LESION, SENTENCES, write

Serve = Callable[[Path], Viewer]
NASTY = "<img src=x onerror=alert(1)>"


def asked(
    viewer: Viewer, path: str, *, method: str = "GET", secret: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", viewer.server_port, timeout=20)
    try:
        whole = f"/{viewer.secret if secret is None else secret}/{path}"
        connection.request(method, whole, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()


def test_the_page_asks_nobody_but_this_server(family: Path, served: Serve) -> None:
    status, headers, content = asked(served(family), "")
    assert status == 200 and b"static/main.js" in content
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    ours = [page.static(name).decode() for name in page.SCRIPTS] + [
        content.decode(),
        page.static("viewer.css").decode(),
    ]
    assert not [text for text in ours if re.search(r"(https?:)?//\w+\.", text)]


@pytest.mark.parametrize(
    ("secret", "headers"),
    [
        ("", {}),
        ("wrong", {}),
        (None, {"Host": "rebound.example"}),
        (None, {"Host": "127.0.0.1"}),
        (None, {"Sec_Fetch_Site": "cross-site"}),
        (None, {"Sec_Fetch_Site": "same-site"}),
    ],
)
def test_strangers_get_nothing(family: Path, served: Serve, secret: str | None, headers: dict[str, str]) -> None:
    viewer = served(family)
    for path in ("", "api/case/case_1", "volume/case_1/ct", "static/main.js"):
        status, _, content = asked(viewer, path, secret=secret, **headers)
        assert status == 403 and b"case_1" not in content and len(content) < 200
    port = viewer.server_port
    assert asked(viewer, "", Host=f"localhost:{port}")[0] == 200  # the same server by its other name


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_it_only_reads(family: Path, served: Serve, method: str) -> None:
    assert asked(served(family), "api/case/case_1", method=method)[0] == 501


OUTSIDE = """
../outside.txt volume/../outside.txt volume/..%2foutside.txt/ct volume/%2e%2e/ct static/..%2f..%2fserver.py
static/server.py volume/case_1/..%2fplan.json volume/case_1/plan.json api/case/.. api/case/%2Fetc volume//etc/passwd
thumbnail/..%2f.. api/case/case_1%00 api/case/%ff api/case/case_1_other nothing api/case/%3Cscript%3E
"""


@pytest.mark.parametrize("path", OUTSIDE.split())
def test_nothing_outside_the_shelf(family: Path, served: Serve, path: str) -> None:
    (family.parent / "outside.txt").write_text("a secret")
    status, _, content = asked(served(family), path)
    assert status == 404 and b"secret" not in content and str(family.parent).encode() not in content


def test_links_out_of_a_case_are_not_followed(tmp_path: Path, served: Serve) -> None:
    case, away = write(tmp_path / "here/case_1"), write(tmp_path / "away/case_2")
    (tmp_path / "here/linked").symlink_to(away)
    write(tmp_path / "here/case_3")
    viewer = served(tmp_path / "here")
    assert list(viewer.shelf.cases) == ["case_1", "case_3"]
    (case / "ct.nii.gz").unlink()
    (case / "ct.nii.gz").symlink_to(away / "ct.nii.gz")
    for path in ("volume/case_1/ct", "api/case/case_1", "thumbnail/case_1"):
        status, _, content = asked(viewer, path)
        assert status == 404 and b"link out of the case" in content
    assert rows(viewer.shelf)[0]["damaged"].startswith("ct.nii.gz: is a link")


def test_volumes_are_those_on_the_disk(family: Path, served: Serve) -> None:
    viewer = served(family)
    for what in ("ct", "organs", "lesions"):
        status, headers, content = asked(viewer, f"volume/case_1/{what}")
        assert status == 200 and headers["Transfer-Encoding"] == "chunked"
        assert content == gzip.decompress((family / f"{what}.nii.gz").read_bytes())
    assert asked(viewer, "volume/case_1/trees")[0] == 404
    status, _, content = asked(viewer, "volume/case_1/ct", method="HEAD")
    assert status == 200 and content == b""


def test_a_damaged_volume_is_not_taken_for_a_whole_one(tmp_path: Path, served: Serve, monkeypatch: Any) -> None:
    monkeypatch.setattr("synth.viewer.server._PIECE", 4096)
    folder = write(tmp_path / "case_1", shape=(96, 96, 64))
    whole = (folder / "ct.nii.gz").read_bytes()
    (folder / "ct.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(http.client.IncompleteRead):
        asked(served(folder), "volume/case_1/ct")
    (folder / "ct.nii.gz").write_bytes(whole[:60])
    assert asked(served(folder), "volume/case_1/ct")[0] == 404


def test_a_case_is_told_with_colours_checks_and_family(family: Path, served: Serve) -> None:
    told = json.loads(asked(served(family), "api/case/case_1")[2])
    liver = next(s for s in structures() if s.name == "liver")
    assert told["labels"]["organs"]["5"] == {"name": "liver", "colour": liver.colour}
    assert told["labels"]["lesions"]["1"] == {"name": "lesion_1", "colour": "#ff2d55"}
    assert told["checks"] == [{"name": "liver_ml", "value": 5, "low": 1, "high": 9, "ok": True}]
    assert [s["text"] for s in told["sentences"]] == [s["text"] for s in SENTENCES]
    assert told["family"] == [
        {"name": "case_1", "how": "first"},
        {"name": "case_1_90d", "how": "90 days later"},
        {"name": "case_1_healthy", "how": "without findings"},
    ]


def test_a_sibling_leads_back_to_its_family(family: Path) -> None:
    shelf = opened(family.parent / "case_1_90d")
    assert {kin["name"] for kin in shelf.family("case_1_90d")} == {"case_1", "case_1_90d", "case_1_healthy"}


def test_folders_of_cases_are_galleries(family: Path) -> None:
    shelf = opened(family.parent.parent)  # two floors up: the name is the path from there
    assert shelf.first is None and f"{family.parent.name}/case_1" in shelf.cases
    shelf = opened(family.parent)
    found = {row["case"]: row for row in rows(shelf)}
    cyst = {"kind": "cyst", "organ": "liver", "side": "right", "mm": 8.0, "ml": 0.3, "by_volume": False}
    assert found["case_1"]["findings"] == [cyst] and found["case_1_healthy"]["findings"] == []
    assert found["case_1_healthy"]["sibling_of"] == "case_1"
    assert found["case_1"]["room"] == 0.5 and found["case_1"]["failed"] == []


def test_checks_that_fail_and_cases_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    write(tmp_path / "bad", checks=[Check("a_ml", 12, 1, 9), Check("b_ml", 2, 1, 9)])
    for number, content in enumerate(("{", '{"labels": 3}', "[]", '{"checks": [{"name": 1}]}')):
        damaged = write(tmp_path / f"damaged_{number}")
        (damaged / "manifest.json").write_text(content)
    found = rows(opened(tmp_path))
    assert found[0]["failed"] == ["a_ml"] and found[0]["nearest"] == "a_ml" and found[0]["room"] < 0
    assert [row["case"] for row in found if "damaged" in row] == ["damaged_0", "damaged_2", "damaged_3"]


def test_a_finished_cohort_is_read_from_its_table(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from synth.cohort.table import SCHEMA

    monkeypatch.setattr(logging.getLogger("synth"), "propagate", True)  # the command's own handler turns it off
    for name in ("case_00000", "case_00001"):
        write(tmp_path / "cases" / name)
    lesion = {field.name: None for field in SCHEMA.field("lesions").type.value_type} | LESION | {"name": "lesion_1"}
    empty = dict.fromkeys(SCHEMA.names)
    row = empty | {
        "case": "case_00001",
        "split": "val",
        "lesions": [lesion],
        "checks": [{"name": "a", "value": 0, "low": 1, "high": 2}],
    }
    pq.write_table(pa.Table.from_pylist([row], schema=SCHEMA), tmp_path / "cases.parquet")
    found = rows(opened(tmp_path))
    assert [r["case"] for r in found] == ["case_00000", "case_00001"]  # one that the table lacks is read from its files
    (tmp_path / "cases.parquet").write_bytes(b"of another version")
    assert [r["case"] for r in rows(opened(tmp_path))] == ["case_00000", "case_00001"]
    assert "the gallery reads the files of the cases" in caplog.text
    assert found[1]["split"] == "val" and found[1]["failed"] == ["a"] and found[1]["findings"][0]["mm"] == 8.0


def test_thumbnails_are_pictures_of_the_finding(family: Path, served: Serve) -> None:
    import io

    import numpy as np
    from PIL import Image

    status, headers, content = asked(served(family), "thumbnail/case_1")
    assert status == 200 and headers["Content-Type"] == "image/png"
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    assert pixels.shape == (192, 192, 3)
    assert (pixels == [0xFF, 0x2D, 0x55]).all(axis=2).any()  # the outline of the first finding
    assert asked(served(family), "thumbnail/nothing")[0] == 404


def test_names_and_words_stay_text(tmp_path: Path, served: Serve) -> None:
    folder = write(tmp_path / NASTY, prompt="</script><script>alert(1)</script>")
    content = asked(served(folder), "")[2].decode()
    assert NASTY not in content and "<img" not in content
    out = tmp_path / "out.html"
    assert cli.main(["view", str(folder), "--export", str(out)]) == 0
    text = out.read_text()
    assert NASTY not in text and "alert(1)</script>" not in text
    start = json.loads(re.search(r'id="start">(.*?)</script>', text)[1])  # type: ignore[index]
    assert start["first"] == NASTY and start["case"]["prompt"] == "</script><script>alert(1)</script>"


def test_an_export_holds_the_case_and_allows_its_own_scripts_alone(family: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert cli.main(["view", str(family), "--export", str(out)]) == 0
    text = out.read_text()
    packed = re.search(r'id="volume-ct">(.*?)</script>', text)
    assert packed and base64.b64decode(packed[1]) == (family / "ct.nii.gz").read_bytes()
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts}
    assert policy and len(scripts) == len(page.SCRIPTS) + 1
    assert hashes == set(re.findall(r"'sha256-[^']+'", policy[1].split("script-src")[1].split(";")[0]))
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=\"(?!data:)", text.split("<script>")[0])
    assert cli.main(["view", str(family), "--export", str(out)]) == 2  # nothing is written over


def test_what_cannot_be_shown_is_one_line(family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    busy = socket.create_server(("127.0.0.1", 0))
    for arguments, words in [
        (["view", str(tmp_path / "nowhere")], "no such folder"),
        (["view", str(tmp_path / "empty")], "no case in it"),
        (["view", str(family.parent), "--export", str(tmp_path / "x.html")], "hand over its folder"),
        (["view", str(family), "--port", str(busy.getsockname()[1])], "choose another, or leave it out"),
    ]:
        assert cli.main(arguments) == 2
        line = capsys.readouterr().err
        assert words in line and line.count("\n") == 1
    busy.close()
    (family / "delta.xz").write_bytes(b"")
    with pytest.raises(InputError, match="synthct materialize"):
        described("case_1", family)


def test_it_listens_on_this_machine_alone(family: Path, served: Serve) -> None:
    viewer = served(family)
    assert viewer.server_address[0] == "127.0.0.1"
    assert viewer.address.startswith(f"http://127.0.0.1:{viewer.server_port}/") and len(viewer.secret) >= 20


def test_the_bundle_is_the_one_that_is_noted() -> None:
    noted = (Path(page.__file__).parent / "static/README.md").read_text()
    content = page.static(page.NIIVUE)
    assert hashlib.sha256(content).hexdigest() in noted and f"{len(content):,} bytes" in noted
