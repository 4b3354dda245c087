"""Words -> request: what of a reading can be drawn, or the line that says why nothing can."""

from __future__ import annotations

from prompts.asking import ANYWHERE, Door
from prompts.reader import read
from prompts.request import CaseRequest


def parse(prompt: str, door: Door = ANYWHERE) -> CaseRequest:
    """The request that a prompt makes; what it does not say stays None or empty.

    Raises PromptError (one line: the words and the remedy) as `read` does, and where nothing in it can be drawn.
    """
    return read(prompt, door).drawable().request


def unread(prompt: str) -> tuple[str, ...]:
    """Words of the prompt from which nothing follows."""
    return tuple(word for words in read(prompt).ignored_words() for word in words.split())
