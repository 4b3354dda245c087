"""Words -> request: what of a reading can be drawn, or the line that says why nothing can."""

from __future__ import annotations

from prompts.asking import ANYWHERE, Door
from prompts.errors import PromptError
from prompts.reader import read
from prompts.reading import Reading
from prompts.request import CaseRequest


def parse(prompt: str, door: Door = ANYWHERE) -> CaseRequest:
    """The request that a prompt makes; what it does not say stays None or empty.

    Raises PromptError (one line: the words and the remedy) as `read` does, and where nothing in it can be drawn.
    """
    return drawable(read(prompt, door)).request


def drawable(reading: Reading, strict: bool = False) -> Reading:
    """The reading, if anything in it can be drawn; `strict`: if all of it can.

    Raises PromptError with the first reason why not.
    """
    if strict:
        _refuse_any(reading)
    invalid = [f for f in reading.findings if f.invalid]
    if invalid and not reading.request.findings and not reading.request.targets:
        why = invalid[0].why_not
        raise PromptError(why if "'" in why or invalid[0].kind in why else f"'{invalid[0].named()}': {why}")
    return reading


def _refuse_any(reading: Reading) -> None:
    for finding in reading.noted:
        raise PromptError(f"'{finding.text or finding.kind}': {finding.why_not or finding.status} (--strict)")
    for finding in reading.drawn:
        if finding.why_not:
            raise PromptError(f"'{finding.text}': {finding.why_not} (--strict)")
    for words in reading.ignored_words():
        raise PromptError(f"'{words}' is not understood (--strict)")


def unread(prompt: str) -> tuple[str, ...]:
    """Words of the prompt from which nothing follows."""
    return tuple(word for words in read(prompt).ignored_words() for word in words.split())
