"""`synthct read`: what a text means, as JSON or as lines to read."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from prompts import Finding, Reading
from synth.case import doors
from synth.files.content import text_of

_LONGEST_NAME = 255  # bytes of a file name; a longer text is no file


def shown(text: str, at: str, *, as_json: bool, strict: bool, by: str) -> str:
    """The reading of a text, of the file that it names, or of stdin for "-"."""
    reading = doors.reading(_words(text), at, by=by)
    if strict:
        reading.drawable(strict=True)
    return json.dumps(reading.as_json(), indent=1, ensure_ascii=False) if as_json else "\n".join(_lines(reading))


def _words(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    if len(text.encode(errors="replace")) > _LONGEST_NAME or "\n" in text or "\0" in text:
        return text
    path = Path(text)
    try:
        if not path.is_file() and not _is_path(text):
            return text
    except OSError:
        return text
    return text_of(path)


def _is_path(text: str) -> bool:
    """Whether a text that names no file was meant to: one word that ends as the name of a text does."""
    return len(text.split()) == 1 and text.lower().endswith((".txt", ".md", ".rtf", ".json", ".csv", ".rpt"))


def _lines(reading: Reading) -> list[str]:
    facts = {
        k: v
        for k, v in reading.as_json().items()
        if k in ("region", "phase", "sex", "age", "habitus") and v is not None
    }
    lines = [f"{name:10} {value}" for name, value in facts.items()]
    lines += [f"{'target':10} {int(t.dose_gy)} Gy {t.side or ''}".rstrip() for t in reading.request.targets]
    lines += [f"{'drawn':10} {_told(f)}" for f in reading.drawn]
    lines += [f"{'ruled out':10} {f.named()}" for f in reading.ruled_out]
    lines += [f"{'noted':10} {_told(f)}" for f in reading.noted]
    lines += [f"{'assumed':10} {name}: {value}" for name, value in reading.assumed.items()]
    lines += [f"{'ignored':10} {words}" for words in reading.ignored_words()]
    lines += [f"{'note':10} {note}" for note in reading.notes]
    return lines


def _told(finding: Finding) -> str:
    more = [f"{k} {v}" if v is not True else k for k, v in finding.attributes.items()]
    why = f" ({finding.why_not})" if finding.why_not else ""
    return ", ".join([finding.named(), *more]) + why
