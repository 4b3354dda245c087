"""The lexicon: phrases of words/*.yaml as one tree of words, and the terms that a text has of it.

A line of a table is expanded into every phrase that it means, each a path of word keys (prompts.source.keyed); at each
place of a text the longest path wins. So a term costs no time, however many there are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from prompts.phrases import load
from prompts.source import Source, Token, keyed, normalised

_END = ""
_JOINING = frozenset(("joins", "either"))
_FINITE = frozenset((
    "is", "are", "was", "were", "has", "have", "there", "shows", "show", "demonstrates", "demonstrate",
    "reveals", "reveal", "contains", "contain", "appears", "appear", "exist", "exists", "catches", "draws",
    "attracts", "measures", "developed",
))  # fmt: skip
Means = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A line of findings.yaml; `name` is what the finding is called in a reading."""

    name: str
    organ: str | None = None
    always: bool = False
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    generic: bool = False
    cause: bool = False
    mass: bool = False
    device: bool = False
    primary: bool = False
    history: bool = False
    several: bool = False
    needs_place: bool = False
    also: str | None = None
    means: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Term:
    """Tokens `first` to before `last` of a text, and what they mean."""

    means: Means
    first: int
    last: int
    start: int
    end: int
    text: str
    plural: bool = False

    def has(self, context: str) -> bool:
        """Whether it is a word of this line of context.yaml."""
        means = self.means
        return "context" in means and context in means["context"]

    @property
    def coordinates(self) -> bool:
        """Whether it joins things alike."""
        return self.means.get("mark") in (",", "/") or not _JOINING.isdisjoint(self.means.get("context", ()))

    @property
    def is_finite(self) -> bool:
        """Whether it is the verb of a clause, not a participle ("seen in the earlier scan")."""
        return self.has("seen") and self.text.split()[0].lower() in _FINITE


def terms(source: Source, taken: Sequence[Term] = ()) -> list[Term]:
    """All terms of a text in order, none overlapping; `taken` are those that stand already (numbers)."""
    tokens = source.tokens
    root = tree()
    found = list(taken)
    blocked = bytearray(len(tokens) + 1)
    for term in taken:
        blocked[term.first : term.last] = b"\1" * (term.last - term.first)
    index = 0
    while index < len(tokens):
        match = None if blocked[index] else _longest(root, tokens, index, blocked)
        if match is None:
            index += 1
            continue
        means, last = match
        found.append(_term(means, index, last, source))
        index = last
    return sorted(found, key=lambda t: t.first)


def _longest(root: dict[str, Any], tokens: Sequence[Token], index: int, blocked: bytearray) -> tuple[Means, int] | None:
    node, best = root, None
    for position in range(index, len(tokens)):
        if blocked[position]:
            break
        node = node.get(tokens[position].key)  # type: ignore[assignment]
        if node is None:
            break
        if _END in node:
            best = (node[_END], position + 1)
    return best


def _term(means: Means, first: int, last: int, source: Source) -> Term:
    start, end = source.tokens[first].start, source.tokens[last - 1].end
    text = source.text[start:end] if last == first + 1 else " ".join(source.text[start:end].split())
    return Term(means, first, last, start, end, text, source.tokens[last - 1].plural)


@cache
def tree() -> dict[str, Any]:
    """Word key -> deeper tree; what a phrase means stands under the empty key."""
    root: dict[str, Any] = {}
    for say, means in _entries():
        for phrase in phrases(say):
            node = root
            for word in phrase:
                node = node.setdefault(word, {})
            _merge(node.setdefault(_END, {}), means)
    return root


def _merge(into: Means, means: Means) -> None:
    for name, value in means.items():
        if name == "context":
            into[name] = (*into.get(name, ()), *value)
        elif name == "attributes":
            into[name] = {**value, **into.get(name, {})}
        else:
            into.setdefault(name, value)


def _entries() -> Iterator[tuple[str, Means]]:
    """Every line of every table: what it says, what it means."""
    for name, line in load("words/findings.yaml").items():
        yield line["say"], {"finding": _kind(name, line)}
    places = load("words/places.yaml")
    for line in places["places"]:
        yield line["say"], {"place": {k: v for k, v in line.items() if k != "say"}}
    for table, meaning in (
        ("organs", "organ"),
        ("sides", "side"),
        ("levels", "level"),
        ("nouns", "noun"),
        ("bare", "bare"),
    ):
        for name, say in places[table].items():
            yield say, {meaning: name}
    yield places["segments"], {"segment": True}
    attributes = load("words/attributes.yaml")
    for table in ("drawn", "noted"):
        for name, values in attributes[table].items():
            for value, say in values.items():
                yield say, {"attributes": {name: value}}
    for name, say in attributes["sizes"].items():
        yield say, {"size_word": name}
    for name, say in attributes["counts"].items():
        yield say, {"count": name}
    yield from _scan_entries()
    for name, say in load("words/context.yaml").items():
        yield say, {"context": (name,)}
    for word in ordinary():
        yield word, {"ordinary": True}


def _scan_entries() -> Iterator[tuple[str, Means]]:
    for name, values in load("words/scan.yaml").items():
        if isinstance(values, str):
            yield values, {name: True}
            continue
        for value, say in values.items():
            yield say, {name: (float(value),) if name == "dose" else value}


def ordinary() -> tuple[str, ...]:
    """Words of grammar, from which nothing follows."""
    return tuple(word.replace("-", "") for word in load("words/ordinary.yaml")["function"].split())


@cache
def function_words() -> frozenset[str]:
    """Words of grammar, from which alone nothing follows: of context.yaml and the first list of ordinary.yaml."""
    grammar = {words for say in load("words/context.yaml").values() for words in phrases(say)}
    scan = {words for name in ("ct", "target") for words in phrases(load("words/scan.yaml")[name])}
    single = {words[0] for words in grammar | scan if len(words) == 1}
    return frozenset(single | {keyed(w)[0] for w in load("words/ordinary.yaml")["function"].split()})


@cache
def kinds() -> dict[str, Kind]:
    """Canonical name of a kind -> its line; of several lines the first."""
    found: dict[str, Kind] = {}
    for name, line in load("words/findings.yaml").items():
        kind = _kind(name, line)
        if name == kind.name or kind.name not in found:
            found[kind.name] = kind
    return found


def organs() -> tuple[str, ...]:
    """The names of words/places.yaml."""
    return tuple(load("words/places.yaml")["organs"])


def kind_named(name: str) -> Kind:
    """The kind of this name; one without a line of its own ("scar") is in no place of its own."""
    return kinds().get(name) or Kind(name)


def _kind(name: str, line: Mapping[str, Any]) -> Kind:
    return Kind(
        name=line.get("kind", name),
        organ=line.get("organ"),
        always=line.get("always", False),
        elsewhere=line.get("in") or {},
        generic=line.get("generic", False),
        cause=line.get("cause", False),
        mass=line.get("mass", False),
        device=line.get("device", False),
        primary=line.get("primary", False),
        history=line.get("history", False),
        several=line.get("several", False),
        needs_place=line.get("needs") == "place",
        also=line.get("also"),
        means=line.get("means") or {},
    )


def phrases(say: str) -> Iterator[tuple[str, ...]]:
    """Every phrase of a line, as word keys: "(pleural) effusion, hydro-thorax"."""
    for item in _split(say, ","):
        for words in _expanded(item.strip()):
            keys = tuple(key for word in words for key in _keys(word))
            if keys:
                yield keys


@cache
def _keys(word: str) -> tuple[str, ...]:
    return tuple(token.key for token in normalised(word.replace("_", ",")).tokens)


def _split(text: str, mark: str) -> list[str]:
    """At marks outside parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _expanded(item: str) -> Iterator[tuple[str, ...]]:
    """The words of an item: "(a|b)" is either, "(a)" and "(a|b|)" may be left out, "a-b" is also "ab"."""
    pieces: list[list[tuple[str, ...]]] = []
    for piece in _pieces(item):
        if piece.startswith("("):
            options = [words for option in _split(piece[1:-1], "|") for words in _expanded(option.strip())]
            pieces.append(options if "|" in _outer(piece[1:-1]) else [(), *options])
        elif "-" in piece.strip("-"):
            pieces.append([tuple(piece.split("-")), (piece.replace("-", ""),)])
        else:
            pieces.append([(piece,)])
    for combination in itertools.product(*pieces):
        yield tuple(word for words in combination for word in words)


def _pieces(item: str) -> list[str]:
    """Words and parenthesised groups, in order."""
    found, depth, current = [], 0, ""
    for character in item:
        if character == "(" and depth == 0 and current.strip():
            found += current.split()
            current = ""
        depth += (character == "(") - (character == ")")
        current += character
        if character == ")" and depth == 0:
            found.append(current.strip())
            current = ""
    return [*found, *current.split()]


def _outer(text: str) -> str:
    """Without what stands in inner parentheses."""
    kept, depth = "", 0
    for character in text:
        depth += character == "("
        if depth == 0:
            kept += character
        depth -= character == ")"
    return kept
