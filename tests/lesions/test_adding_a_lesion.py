"""docs/adding_a_lesion.md works as it is written, and docs/lesions.md lists what there is."""

import re
from pathlib import Path

import numpy as np
import pytest

from prompts.request import FindingRequest
from synth.lesions import extent_types, insert, keep_painted, lesion_types, plan_lesions
from synth.volumes.types import LabelMap, Volume

DOCS = Path(__file__).parents[2] / "docs"
ENTRY = re.search(r"```yaml\n(.*?)```", (DOCS / "adding_a_lesion.md").read_text(), flags=re.DOTALL)[1]


def test_the_entry_of_the_page_is_inserted(host: Volume, organs: LabelMap, monkeypatch: pytest.MonkeyPatch) -> None:
    added = lesion_types.read_types(ENTRY)
    monkeypatch.setattr(lesion_types, "lesion_types", lambda: added)
    finding = FindingRequest(kind="mass", organ="liver", size_mm=18)
    (plan,) = plan_lesions([finding], host, organs, np.random.default_rng(0))
    case = insert(host, organs, [plan], keep_painted)
    assert case.lesions.present() == ["liver_abscess_1"]
    median = np.median(host.hu[organs.mask("liver")])
    rim, pus = plan.zones
    assert -12 <= rim.hu - median <= -6  # the phantom is native
    assert 8 <= pus.hu <= 20


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (ENTRY.replace("  kinds: [mass]\n", ""), "kinds"),
        (ENTRY.replace("kinds:", "colour: red\n  kinds:"), "colour"),
        (ENTRY.replace("[1.2, 2.4]", "[2.4, 1.2]"), "must not exceed"),
        (ENTRY.replace("hypodense: 1.0", "hypodense: 0.5"), "sum to 1"),
        (ENTRY.replace("mass_effect: [0.2, 0.4]", "mass_effect: [0.2, 1.0]"), "mass_effect"),
    ],
)
def test_what_the_page_calls_an_error_is_one(wrong: str, named: str) -> None:
    assert wrong != ENTRY
    with pytest.raises(ValueError, match=named):
        lesion_types.read_types(wrong)


def test_the_table_of_types_is_the_file() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", (DOCS / "lesions.md").read_text(), flags=re.MULTILINE)
    table = {name: (places.strip(), kinds.strip()) for name, places, kinds in rows}
    bodies = {name: (t.organs, t.kinds) for name, t in lesion_types.lesion_types().items()}
    extents = {name: ((t.organ,), t.kinds) for name, t in extent_types.extent_types().items()}
    assert table == {
        name: (", ".join(o.value for o in organs), ", ".join(k.value for k in kinds))
        for name, (organs, kinds) in (bodies | extents).items()
    }
