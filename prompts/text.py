"""What is known of a text while its sentences are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from prompts import scan
from prompts.findings import Told
from prompts.lexicon import Term
from prompts.places import Place
from prompts.scopes import Scopes
from prompts.sections import Sentence
from prompts.source import Source


@dataclass
class Text:
    """All that is known of a text while it is read."""

    source: Source
    told: list[Told] = field(default_factory=list)
    targets: list[Told] = field(default_factory=list)
    pending: list[tuple[Sequence[Term], Scopes, list[Place], set[int]]] = field(default_factory=list)
    scan: scan.Scan = field(default_factory=scan.Scan)
    organs: list[str] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    used: bytearray = field(default_factory=bytearray)
    columns: tuple[str, ...] = ()
    understood: bool = False
    bare_target: bool = False
    excepted: bool = False

    def use(self, items: Sequence[Term], indices: Iterable[int]) -> None:
        """Note that words were read, so that they are not told as ignored."""
        for index in indices:
            item = items[index]
            self.used[item.start : item.end] = b"\1" * (item.end - item.start)
