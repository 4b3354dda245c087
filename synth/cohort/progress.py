"""What a process of a cohort has done: cases, rate, time left, rejections by reason, quotas. A line on stderr."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from synth.cohort.draw import DrawnCase
from synth.cohort.planning import PlannedCase
from synth.cohort.processes import Process

if TYPE_CHECKING:
    from rich.live import Live

_EVERY_S = 30.0  # where stderr is a file
_VARIES = "#"  # in place of a number that is not the same each time
_NUMBER = re.compile(rf"(?<![A-Za-z\d])(-?\d+(?:\.\d+)?|{_VARIES})")  # not the 2 of dcm2niix
_REASONS, _REASON_WIDTH = 3, 90

logger = logging.getLogger(__name__)


@dataclass
class Tally:
    """Counts of one process. `skipped` were there before; `failed` cases are in quarantine, old and new.

    `rejections` counts reasons that differ in numbers alone as one, and `wording` has what they have in common.
    `unread` has the hosts that cannot be read, each with the reason.
    """

    share: int
    drawn: int = 0
    skipped: int = 0
    failed: int = 0
    rejections: Counter[str] = field(default_factory=Counter)
    wording: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    groups: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def seen(self) -> int:
        """Cases that are dealt with."""
        return self.drawn + self.skipped + self.failed

    def add(self, other: Tally) -> None:
        """Count what another process did of this one's share."""
        self.drawn += other.drawn
        self.skipped += other.skipped
        self.failed += other.failed
        self.rejections += other.rejections
        for reason in other.wording.values():
            self._word(reason)
        self.unread = other.unread | self.unread
        self.groups += other.groups

    def reject(self, drawn: DrawnCase) -> None:
        """Count the attempts that failed, by reason, whatever its numbers."""
        for attempt in drawn.failed:
            self.rejections[_kind_of(attempt.reason)] += 1
            self._word(attempt.reason)
            if attempt.unread and attempt.host is not None:
                self.unread.setdefault(attempt.host, attempt.reason)

    def reasons(self, width: int | None = None) -> str:
        """The most frequent reasons with their counts, each cut to `width` characters."""
        shown = ((n, self.wording[kind]) for kind, n in self.rejections.most_common(_REASONS))
        return "; ".join(f"{n} x {text if width is None else _cut(text, width)}" for n, text in shown)

    def _word(self, reason: str) -> None:
        kind = _kind_of(reason)
        self.wording[kind] = _in_common(self.wording.get(kind, reason), reason)


def _kind_of(reason: str) -> str:
    """A reason without its numbers, so that like ones count as one."""
    return _NUMBER.sub(_VARIES, reason)


def _in_common(one: str, other: str) -> str:
    """Two reasons of one kind as one: `#` for each number that differs."""
    pairs = zip(_NUMBER.split(one), _NUMBER.split(other), strict=True)
    return "".join(a if a == b else _VARIES for a, b in pairs)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


class CohortProgress:
    """Shows a tally: a live line on a terminal, a line every half minute elsewhere, nothing when quiet."""

    def __init__(
        self, tally: Tally, process: Process, quiet: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.tally, self._process, self._quiet, self._clock = tally, process, quiet, clock
        self._start = self._shown = clock()
        self._live: Live | None = None
        self._told: set[str] = set()  # hosts

    def __enter__(self) -> CohortProgress:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(self.line(), console=Console(stderr=True), auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        elif not self._quiet:
            print(self.line(), file=sys.stderr, flush=True)

    def show(self, case: PlannedCase) -> None:
        """After a case was written, skipped or given up. A host that cannot be read is told once, quiet or not."""
        for host in [name for name in self.tally.unread if name not in self._told]:
            self._told.add(host)
            logger.warning("host %s is passed over, it cannot be read: %s", host, self.tally.unread[host])
        now = self._clock()
        if self._live is not None:
            self._live.update(self.line(), refresh=True)
        elif not self._quiet and now - self._shown >= _EVERY_S:
            self._shown = now
            print(f"{self.line()}; at {case.name}", file=sys.stderr, flush=True)

    def line(self) -> str:
        """The tally in words."""
        tally, elapsed = self.tally, max(self._clock() - self._start, 1e-9)
        new = tally.seen - tally.skipped
        parts = [f"{tally.seen} of {tally.share} cases"]
        if tally.drawn:
            rate = new / elapsed
            parts += [f"{60 * rate:.1f} a minute", f"{duration((tally.share - tally.seen) / rate)} left"]
        if tally.failed:
            parts.append(f"{tally.failed} given up")
        if tally.rejections:
            parts.append(f"{tally.rejections.total()} draws rejected ({tally.reasons(_REASON_WIDTH)})")
        if tally.asked:
            parts.append(", ".join(f"{group} {tally.groups[group]}/{n}" for group, n in tally.asked.items()))
        return f"synthct: process {self._process.rank} of {self._process.world}: {', '.join(parts)}"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`, `2.1 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
