"""Quotas asked against achieved: how many cases were planned so, and what was measured on the finished ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synth.cohort.quotas import bounds
from synth.cohort.recipe import UNSAID
from synth.cohort.records import Record

_MEASURED = ("side", "size_mm", "count")  # fields of a finding that the report measures


@dataclass
class Achieved:
    """Counts by quota and value, filled case by case."""

    asked: Mapping[str, Mapping[str, int]]
    made: dict[str, Counter[str]] = field(default_factory=dict)
    measured: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Count a complete case."""
        for quota, value in record.planned.asked.items():
            self.made.setdefault(quota, Counter())[value] += 1
            field_name = quota.removeprefix(f"{record.planned.group}: ")
            if field_name != quota and field_name in _MEASURED:
                counter = self.measured.setdefault(quota, Counter())
                counter.update(_values(field_name, record, self.asked[quota]))

    def rows(self) -> list[dict[str, Any]]:
        """`quota`, `value`, `asked`, `made`, and `measured` (None where the report does not measure it)."""
        return [
            {
                "quota": quota,
                "value": value,
                "asked": number,
                "made": self.made.get(quota, Counter())[value],
                "measured": None if value == UNSAID or quota not in self.measured else self.measured[quota][value],
            }
            for quota, values in self.asked.items()
            for value, number in values.items()
        ]


def _values(name: str, record: Record, values: Mapping[str, int]) -> list[str]:
    """The value of a quota that the finished volume shows, at most one."""
    lesions = record.lesions
    if name == "count":
        return [str(len(lesions))]
    if name == "side":
        sides = {lesion["side"] for lesion in lesions if lesion["side"]}
        return ["bilateral" if sides == {"left", "right"} else next(iter(sides))] if sides else []
    longest = max((lesion["long_axis_mm"] for lesion in lesions), default=0.0)
    for value in values:
        if value != UNSAID:
            low, high = bounds(value, name)
            if low <= longest <= high:
                return [value]
    return []
