"""What a text means: findings that are drawn, ruled out or only noted, facts of the scan, and what was left over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from prompts.errors import PromptError
from prompts.naming import name_of, place_of, size_of
from prompts.request import CaseRequest
from prompts.vocabulary import Phase, Region

Status = Literal["present", "absent", "possible", "past"]
SEVERAL = "several"


@dataclass(frozen=True)
class Finding:
    """One finding in one place. `size_mm`: axes, longest first, or the ends of a range (attribute `size_is`: "range").

    `kind` is a line of words/findings.yaml, `organ` one of words/places.yaml; `part` a lobe, a pole, a Couinaud number
    or what an organ has of the kind. `size` is a word (tiny, small, moderate, large), `count` a number, "several" or
    None where it has none. `span` is where in the text it stands, first to behind the last character. `invalid`: it is
    not drawn because what is said of it cannot be, not for want of a way to draw it.
    """

    kind: str
    organ: str | None = None
    side: str | None = None
    part: str | None = None
    size_mm: tuple[float, ...] | None = None
    size: str | None = None
    count: int | str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    status: Status = "present"
    drawn: bool = False
    why_not: str = ""
    invalid: bool = False
    text: str = ""
    span: tuple[int, int] = (0, 0)

    def as_json(self) -> dict[str, Any]:
        """The keys of `synthct read --json`."""
        return {
            "kind": self.kind,
            "organ": self.organ,
            "side": self.side,
            "part": self.part,
            "size_mm": list(self.size_mm) if self.size_mm else None,
            "size": self.size,
            "count": self.count,
            "attributes": dict(self.attributes),
            "status": self.status,
            "drawn": self.drawn,
            "why_not": self.why_not,
            "text": self.text,
            "span": list(self.span),
        }

    def named(self) -> str:
        """ "18 mm nodule in the right upper lobe"."""
        size = size_of(self.size_mm, self.size, self.attributes.get("size_is"))
        one_a_side = self.count == SEVERAL and (self.organ, self.side) == ("pleura", "bilateral")
        count = 2 if one_a_side else self.count
        name = name_of(str(self.attributes.get("device", self.kind)), count, size)  # "pacemaker"
        if self.organ in (None, "none") and self.side in ("left", "right", "bilateral") and not self.part:
            return f"{name} on {'both sides' if self.side == 'bilateral' else f'the {self.side}'}"
        station = str(self.attributes.get("segment", ""))
        told = station.startswith("station ") and self.organ == "mediastinum"
        where = f"{station} of the mediastinum" if told else place_of(self.organ, self.side, self.part)
        return f"{name} in {where}" if where else name


_SHOWN = 10  # words without meaning in one line


@dataclass(frozen=True)
class Reading:
    """A text, read. `request` is what of it can be drawn; `assumed` what was not said and had to be taken."""

    text: str
    request: CaseRequest
    findings: tuple[Finding, ...] = ()
    region: str | None = None
    assumed: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[tuple[int, int], ...] = ()
    corrected: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    parser: str = "grammar"

    @property
    def drawn(self) -> tuple[Finding, ...]:
        """Present and drawable."""
        return tuple(f for f in self.findings if f.drawn)

    @property
    def ruled_out(self) -> tuple[Finding, ...]:
        """Said not to be there."""
        return tuple(f for f in self.findings if f.status == "absent")

    @property
    def noted(self) -> tuple[Finding, ...]:
        """Understood, and not drawn, with the reason."""
        return tuple(f for f in self.findings if not f.drawn and f.status != "absent")

    @property
    def case_request(self) -> CaseRequest:
        """The request with the region and the contrast that were assumed, where they were not said."""
        taken: dict[str, Any] = {}
        if self.request.region is None and self.region in list(Region):
            taken["region"] = Region(self.region)
        if self.request.phase is None and "phase" in self.assumed:
            taken["phase"] = Phase.ENHANCED
        return self.request.model_copy(update=taken) if taken else self.request

    def drawable(self, strict: bool = False) -> Reading:
        """This reading, if anything in it can be drawn; `strict`: if all of it can.

        Raises PromptError with the first reason why not.
        """
        for why in self._not_drawn() if strict else ():
            raise PromptError(f"{why} (--strict)")
        invalid = [f for f in self.findings if f.invalid]
        if invalid and not self.request.findings and not self.request.targets:
            why = invalid[0].why_not
            raise PromptError(why if "'" in why or invalid[0].kind in why else f"'{invalid[0].named()}': {why}")
        return self

    def _not_drawn(self) -> Iterator[str]:
        """Whatever is said and is not in the request, with its reason."""
        yield from (f"'{f.text or f.kind}': {f.why_not or f.status}" for f in self.noted)
        yield from (f"'{f.text}': {f.why_not}" for f in self.drawn if f.why_not)
        yield from (f"'{words}' is not understood" for words in self.ignored_words())

    def ignored_words(self) -> tuple[str, ...]:
        """The stretches of text without meaning here."""
        return tuple(self.text[a:b] for a, b in self.ignored)

    def as_json(self) -> dict[str, Any]:
        """What `synthct read --json` prints."""
        request = self.request
        return {
            "region": self.region,
            "phase": request.phase and str(request.phase),
            "sex": request.sex and str(request.sex),
            "age": request.age,
            "habitus": request.habitus and str(request.habitus),
            "findings": [f.as_json() for f in self.findings],
            "assumed": dict(self.assumed),
            "ignored": [list(span) for span in self.ignored],
        }

    def line(self) -> str:
        """One line, "read as: ...": what is drawn, what is noted but not drawn, ruled out, assumed, not understood."""
        request = self.request
        facts: list[Any] = [self.region and self.region.replace("_", " "), request.phase, request.extent, request.sex]
        facts += [request.age and f"{request.age} years", request.habitus and f"{request.habitus} habitus"]
        said = [str(f).replace("_", " ") for f in facts if f]
        said += [f"{int(t.dose_gy)} Gy target{f' {t.side}' if t.side else ''}" for t in request.targets]
        said += [_noted(f) if f.why_not else f.named() for f in self.drawn]
        parts = [f"read as: {', '.join(said) or 'nothing'}"]
        if self.noted:
            parts.append(f"not drawn: {', '.join(_noted(f) for f in self.noted)}")
        if self.ruled_out:
            parts.append(f"ruled out: {', '.join(f.named() for f in self.ruled_out)}")
        parts += [f"assumed {name}: {value}" for name, value in self.assumed.items()]
        words = [f"'{' '.join(said.split())}'" for said in self.ignored_words()]
        if words:
            more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
            parts.append(f"not understood: {', '.join(words[:_SHOWN])}{more}")
        return "; ".join(parts)

    def with_findings(self, findings: tuple[Finding, ...]) -> Reading:
        """The same with other findings."""
        return replace(self, findings=findings)


def _noted(finding: Finding) -> str:
    why = finding.why_not or finding.status
    return f"{finding.named()} ({why})"
