"""Which cases a folder holds, by name. Only these are served: a name that is asked for is looked up, never joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from synth.case import folder as case_folder
from synth.cohort import layout
from synth.errors import InputError
from synth.files.documents import read_table
from synth.lesions.sibling import FollowUp, SiblingOf, Twin

_DEPTH = 3  # folders below the one that is opened: `demo/generate/case_00000`
MOST_CASES = 100_000


@dataclass(frozen=True)
class Shelf:
    """The cases that are shown.

    root: the folder that was opened; cases: name -> its folder; first: the case to open at once, None for a gallery;
    cohort: whether the folder has a table of its cases (cases.parquet).
    """

    root: Path
    cases: Mapping[str, Path]
    first: str | None = None
    cohort: bool = False
    _families: dict[Path, dict[str, SiblingOf | None]] = field(default_factory=dict, repr=False)

    def folder(self, name: str) -> Path:
        """The folder of a case. Raises InputError for a name that is not on the shelf, or files that lie elsewhere."""
        if name not in self.cases:
            raise InputError("no such case here")
        folder = self.cases[name]
        if away := [p.name for p in folder.iterdir() if p.is_symlink() and not _inside(p, folder)]:
            raise InputError(f"{away[0]}: is a link out of the case's folder; copy the file there")
        return folder

    def family(self, name: str) -> list[dict[str, str]]:
        """The case itself, its twin, follow-ups and changes: `name` and `how` ("first", "twin", "90d later", ..)."""
        folder = self.folder(name)
        said = self._siblings_in(folder.parent)
        own = said.get(folder.name)
        head = own.case if own else folder.name
        kin = [head, *sorted(n for n, sibling in said.items() if sibling and sibling.case == head)]
        names = {path: known for known, path in self.cases.items()}
        found = [(names.get(folder.parent / one), said.get(one)) for one in kin]
        return [{"name": known, "how": _told(sibling)} for known, sibling in found if known is not None]

    def _siblings_in(self, parent: Path) -> dict[str, SiblingOf | None]:
        """Folder name -> what its plan says it is a sibling of; read once, and only of names that could be one."""
        if parent not in self._families:
            here = {path.name: path for path in self.cases.values() if path.parent == parent}
            kin = {
                name for name in here if any(name.startswith(f"{other}_") for other in _heads(name) if other in here)
            }
            self._families[parent] = {name: _sibling(path) if name in kin else None for name, path in here.items()}
        return self._families[parent]


def opened(path: Path) -> Shelf:
    """The shelf of a case folder, a cohort, or any folder with cases in it. Raises InputError where there are none."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; hand over a case or a cohort that synthct wrote")
    root = path.resolve()
    if _is_case(root):
        return Shelf(root, _kin(root), first=root.name)
    if (root / layout.CASES).is_dir():
        cases = {name: root / layout.CASES / name for name in layout.names_in(root / layout.CASES)}
        cases = {name: folder for name, folder in cases.items() if _inside(folder, root)}
        if cases:
            return Shelf(root, cases, cohort=(root / layout.TABLE).is_file())
    if not (found := dict(_below(root, root, _DEPTH))):
        raise InputError(f"{path}: no case in it; hand over a case or a cohort that synthct wrote")
    return Shelf(root, found, first=next(iter(found)) if len(found) == 1 else None)


def _below(folder: Path, root: Path, depth: int) -> list[tuple[str, Path]]:
    """Cases in a folder and those below it, by the path from the root; hidden folders and links out of it left out."""
    found: list[tuple[str, Path]] = []
    for name in layout.names_in(folder):
        inner = folder / name
        if not inner.is_dir() or not _inside(inner, root):
            continue
        if _is_case(inner):
            found.append((inner.relative_to(root).as_posix(), inner))
        elif depth > 1:
            found += _below(inner, root, depth - 1)
        if len(found) > MOST_CASES:
            raise InputError(f"{root}: more than {MOST_CASES} cases; hand over a folder with fewer")
    return found


def _is_case(folder: Path) -> bool:
    return (folder / case_folder.MANIFEST).is_file() and (folder / case_folder.REPORT).is_file()


def _kin(case: Path) -> dict[str, Path]:
    """A case and the folders beside it that its plan, or theirs, says are its siblings."""
    own = _sibling(case)
    head = own.case if own else case.name
    beside = [p for p in sorted(case.parent.iterdir()) if p.name == head or p.name.startswith(f"{head}_")]
    there = [p for p in beside if p.is_dir() and _inside(p, case.parent) and _is_case(p)]
    family = [p for p in there if p.name == head or ((said := _sibling(p)) and said.case == head)]
    return {case.name: case} | {p.name: p for p in family}


def _inside(path: Path, root: Path) -> bool:
    """Whether a path stays below a folder once its links are followed."""
    return path.resolve().is_relative_to(root)


def _heads(name: str) -> list[str]:
    """The names that a sibling's name may be made of: those before each of its underscores."""
    return [name[:at] for at, letter in enumerate(name) if letter == "_"]


def _sibling(folder: Path) -> SiblingOf | None:
    """What a case's plan says it is a sibling of; None where it is none, or cannot be read."""
    try:
        said = read_table(folder / case_folder.PLAN).get("sibling")
        return None if said is None else SiblingOf.model_validate(said)
    except (InputError, ValidationError):
        return None


def _told(sibling: SiblingOf | None) -> str:
    """How a case differs from the first of its family, in words."""
    if sibling is None:
        return "first"
    how = sibling.how
    if isinstance(how, FollowUp):
        return f"{how.days} days later"
    return "without findings" if isinstance(how, Twin) else f"{how.attribute}: {how.value}".replace("_", " ")
