"""Words: the vocabulary of requests, their reading and writing, and the language of reports. No torch here."""

from prompts.asking import ANYWHERE, Door
from prompts.errors import PromptError
from prompts.parser import parse, unread
from prompts.reader import read
from prompts.reading import Finding, Reading
from prompts.request import CaseRequest, FindingRequest, TargetRequest
from prompts.writer import wordings, write

__all__ = [
    "ANYWHERE",
    "CaseRequest",
    "Door",
    "Finding",
    "FindingRequest",
    "PromptError",
    "Reading",
    "TargetRequest",
    "parse",
    "read",
    "unread",
    "wordings",
    "write",
]
