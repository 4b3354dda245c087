"""A text as sentences, each with the section and the organ that it stands under."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from prompts.lexicon import Term, phrases
from prompts.phrases import load
from prompts.places import within
from prompts.source import Source, Token

UNTITLED = "text"
_SHORT_FORMS = (
    "approx ca vs resp incl max min diam dr no fig e g i a p st lt rt seg ser im img "
    "se cf dd pt hx sup inf ant post lat bil bilat"
)
_ABBREVIATIONS = frozenset(_SHORT_FORMS.split())
_MOST_TOKENS = 250  # a longer sentence is none; it is cut, so that no text takes long
_ENDS = frozenset(".;!\u2022")
_UNENDED = (
    "a an the of in at on with and or to by from for than about approximately is are was were measure measuring "
    "measured reaching between both x segment seg station level up size diameter , +"
)
_EXPECTING = frozenset(_UNENDED.split())
_ASKED = ("indication", "history")
_DICTATED = ("findings", "impression")
_SPOKEN = frozenset(("finding", "impression", "conclusion"))
_VERBS = (
    "is are was were has have had of in on at by for from with and or to as that which who suggest suggestive "
    "suggesting consistent compatible concerning favor favoring represent may could can should would will likely most "
    "probably indicate reflect due related above below described noted seen , ( ) / - : ."
)
_ADJECTIVES = (
    "the a an no this these those other additional clinical extrinsic mass diagnostic imaging my our his her ct key "
    "main significant abnormal acute incidental positive negative overall and or of in with for : , ("
)
_NO_HEADING = frozenset(_VERBS.split())  # behind a word that is no heading there
_BEFORE_NO_HEADING = frozenset(_ADJECTIVES.split())
_LOOSE = frozenset(("examination", "exam", "procedure", "study", "scan", "comparison"))
_LONG_BREATH = 12  # words without a mark: dictated
_OPENS_A_LINE = frozenset("-*\u2022")


@dataclass(frozen=True)
class Sentence:
    """Tokens `first` to before `last`. `section` is one of words/headings.yaml or UNTITLED, `organ` the heading's.

    `detail`: under a heading that speaks of the finding before it ("Size: 3 cm").
    """

    first: int
    last: int
    section: str
    organ: Term | None = None
    detail: bool = False
    opens_line: bool = False


def sentences(source: Source, terms: Sequence[Term]) -> list[Sentence]:
    """All sentences with a word in them. A heading opens a sentence and ends with a colon, or stands alone."""
    at = {term.first: term for term in terms}
    found: list[Sentence] = []
    section, organ, detail = UNTITLED, None, False
    loose = False  # a heading that names the scan, behind which a text may go on without another
    titled = any(name == "findings" for name in _names(source))
    for first, last, opens_line in _stretches(source, terms):
        if section in _ASKED and _names_the_scan(source, at.get(first)):
            section, organ, detail = UNTITLED, None, False
        while first < last:
            heading = _heading(source, at, first, last)
            if heading is None:
                break
            name, behind, of = heading
            loose = source.tokens[first].key in _LOOSE
            if name == "recommendation" and not found and first == 0:
                name = "findings"  # "Follow-up: the nodule has grown", where a text begins
            if name == "detail":
                detail = True
            elif of is not None:
                organ, detail = of, False
            else:
                section, organ, detail = name, None, False
            first = behind
        else:
            continue
        if section in ("technique", "comparison") and loose and not titled and found and found[-1].section == section:
            section = UNTITLED if _tells(terms, first, last) else section
        for start, end in _listed(source, terms, first, last) if section == "target" else [(first, last)]:
            found.append(Sentence(start, end, section, organ, detail, opens_line))
        detail = False
    return found


def _names(source: Source) -> set[str]:
    """The sections that have a heading with a colon, or alone on a line."""
    tokens, table = source.tokens, _headings()
    found = set[str]()
    for index, token in enumerate(tokens):
        if (token.text == ":" or "\n" in source.text[tokens[index - 1].end : token.start]) and index:
            for length in range(1, min(4, index) + 1):
                found.add(table.get(tuple(t.key for t in tokens[index - length : index]), ""))
    return found


def _tells(terms: Sequence[Term], first: int, last: int) -> bool:
    """Whether a sentence under "Examination:" tells of what was found: a finding, and nothing of how it was made."""
    inside = terms[bisect_left(terms, first, key=lambda t: t.first) : bisect_left(terms, last, key=lambda t: t.first)]
    made = any({"phase", "ct", "spacing"} & set(t.means) for t in inside)
    return any("finding" in t.means for t in inside) and not made


def _names_the_scan(source: Source, term: Term | None) -> bool:
    """ "Indication: r/o PE. CTPA: no filling defect.": what was found follows what was asked."""
    behind = source.tokens[term.last].text if term is not None and term.last < len(source.tokens) else ""
    if term is not None and source.tokens[term.first].text in ("CT", "CTA", "NECT", "CECT", "HRCT"):
        return True  # "Reason: fall. CT brain without contrast."
    return term is not None and "region" in term.means and behind == ":"


def _listed(source: Source, terms: Sequence[Term], first: int, last: int) -> list[tuple[int, int]]:
    """The target lesions that a sentence lists with commas, each with its length; else the whole."""
    sizes = [term.first for term in terms if "size" in term.means and first <= term.first < last]
    cuts, depth = [first], 0
    for index in range(first, last):
        mark = source.tokens[index].text
        depth += (mark == "(") - (mark == ")")
        if mark == "," and depth == 0:
            cuts += [index, index + 1]
    pieces = list(zip(cuts[::2], [*cuts[1::2], last], strict=True))
    return pieces if all(any(a <= size < b for size in sizes) for a, b in pieces) else [(first, last)]


def _stretches(source: Source, terms: Sequence[Term]) -> Iterator[tuple[int, int, bool]]:
    """Token ranges between the marks that end a sentence, and whether each opens a line."""
    tokens = source.tokens
    inside = bytearray(len(tokens) + 1)  # a mark inside a term ends nothing
    for term in terms:
        if term.last - term.first > 1:
            inside[term.first : term.last] = b"\1" * (term.last - term.first)
    labels = {term.first for term in terms if "label" in term.means}  # "TL1 ..., TL2 ...": each is a sentence
    first, opens = 0, True
    for index, token in enumerate(tokens):
        new_line = index > first and _breaks_line(source, tokens[index - 1], token)
        new_line = new_line or _dictated(source, tokens, first, index)
        new_line = new_line or (index in labels and index > first and tokens[index - 1].text == ",")
        if new_line:
            yield first, index, opens
            first, opens = index, True
        if index - first >= _MOST_TOKENS and not inside[index]:
            yield first, index, opens
            first, opens = index, False
        if not inside[index] and _ends(source, tokens, index):
            if index > first:
                yield first, index, opens
            first, opens = index + 1, False
    if first < len(tokens):
        yield first, len(tokens), opens


def _dictated(source: Source, tokens: Sequence[Token], first: int, index: int) -> bool:
    """ "... no effusion impression chronic infection": a heading in the middle of what was dictated without a mark."""
    if index == first or tokens[index].key not in _SPOKEN or index + 1 >= len(tokens):
        return False
    before, behind = tokens[index - 1], tokens[index + 1]
    opens = "\n" in source.text[before.end : tokens[index].start] or index - first >= _LONG_BREATH
    return opens and before.key not in _BEFORE_NO_HEADING and behind.key not in _NO_HEADING


def _ends(source: Source, tokens: Sequence[Token], index: int) -> bool:
    mark = tokens[index].text
    if mark == '"':
        return True
    if mark not in _ENDS:
        return False
    if mark != ".":
        return True
    before = tokens[index - 1] if index else None
    if before is None or before.end != tokens[index].start:
        return True
    following = source.text[tokens[index].end : tokens[index].end + 1]
    if following and not following.isspace() and following not in "\"')\u2022":
        return following.isupper() and not before.text.isdigit() and len(before.text) > 1
    short = before.key in _ABBREVIATIONS
    upper = source.text[tokens[index].end :].lstrip()[:1].isupper()
    return not short or (upper and len(before.text) > 2)


def _breaks_line(source: Source, before: Token, token: Token) -> bool:
    """Whether a new line between two tokens starts anew; one that goes on in lower case was only wrapped."""
    gap = source.text[before.end : token.start]
    if "\n" not in gap:
        return False
    if gap.count("\n") > 1 or any(mark in gap for mark in "-*#"):
        return True
    if before.text in ":.;":
        return True
    return not (token.text[:1].islower() or token.text in ",;)") and not _goes_on(source, before, token)


def _goes_on(source: Source, before: Token, token: Token) -> bool:
    """Whether a line ends in the middle of something said: "in segment", "a nodule of", "(segment 4"."""
    if before.key in _EXPECTING or before.text == "(":
        return True
    if before.text[0].isdigit() and token.key in ("mm", "cm", "x", "ml"):
        return True
    line = source.text[source.text.rfind("\n", 0, before.start) + 1 : before.end]
    return line.count("(") > line.count(")")


def _heading(source: Source, at: Mapping[int, Term], first: int, last: int) -> tuple[str, int, Term | None] | None:
    """(section, where its text begins, organ) of a heading that starts here."""
    tokens = source.tokens
    behind, name = _named(tokens, first, last)
    term = at.get(first)
    organ = None
    if name is None and term is not None and {"organ", "place"} & set(term.means) and "region" not in term.means:
        organ, behind = term, term.last
        name = "organ"
    sided = at.get(term.last) if name is None and term is not None and set(term.means) == {"side"} else None
    if sided is not None and "organ" in sided.means and term is not None:  # "Right kidney:"
        organ, behind, name = replace(sided, means={**sided.means, "side": term.means["side"]}), sided.last, "organ"
    if name == "organ" and organ is not None and (last_of := _second_organ(source, at, organ, behind, last)):
        behind = last_of
    if name is None:
        return None
    words = " ".join(t.text for t in tokens[first:behind])
    if behind < last and tokens[behind].text == ":":
        return name, behind + 1, organ
    alone = behind == last and name not in ("organ", "detail")
    shouted = words.isupper() and len(words) > 3 and name not in ("organ", "detail") and behind < last
    if name in _DICTATED and _opens_dictation(tokens, first, behind, last):
        return name, behind, organ
    if alone and (words.isupper() or _alone_on_line(source, tokens, first, behind)):
        return name, behind, organ
    if shouted and not tokens[behind].text.isupper() and tokens[behind].text[0].isalnum():
        return name, behind, organ
    return None


def _second_organ(source: Source, at: Mapping[int, Term], organ: Term, behind: int, last: int) -> int | None:
    """ "Lungs and airways:", "Mediastinum/hila:": of two organs of which one holds the other, the first."""
    joined = behind < last and source.tokens[behind].key in ("and", "/", "&")
    other = at.get(behind + 1) if joined else None
    if other is None or other.last >= last or source.tokens[other.last].text != ":":
        return None
    return other.last if within(other.means.get("organ"), organ.means.get("organ")) else None


def _opens_dictation(tokens: Sequence[Token], first: int, behind: int, last: int) -> bool:
    """ "impression fatty liver", as dictated: the bare word, and behind it what was found and no verb."""
    return behind == first + 1 < last and tokens[first].key in _SPOKEN and tokens[behind].key not in _NO_HEADING


def _alone_on_line(source: Source, tokens: Sequence[Token], first: int, behind: int) -> bool:
    """Whether nothing else stands on the line, which is not the last."""
    before = source.text[: tokens[first].start].rpartition("\n")[2].strip(" -*#_")
    line, new_line, rest = source.text[tokens[behind - 1].end :].partition("\n")
    return not before and not line.strip(" -*#_:") and bool(new_line and rest.strip())


def _named(tokens: Sequence[Token], first: int, last: int) -> tuple[int, str | None]:
    table = _headings()
    for length in range(min(4, last - first), 0, -1):
        name = table.get(tuple(t.key for t in tokens[first : first + length]))
        if name is not None:
            return first + length, name
    return first, None


@cache
def _headings() -> dict[tuple[str, ...], str]:
    return {words: name for name, say in load("words/headings.yaml").items() for words in phrases(say)}
