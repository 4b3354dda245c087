"""Words: the vocabulary of requests, their reading and writing, and the language of reports. No torch here."""

from prompts.errors import PromptError
from prompts.parser import parse, unread
from prompts.request import CaseRequest, FindingRequest, TargetRequest
from prompts.writer import wordings, write

__all__ = [
    "CaseRequest",
    "FindingRequest",
    "PromptError",
    "TargetRequest",
    "parse",
    "unread",
    "wordings",
    "write",
]
