"""Cohorts: from a recipe to a data set of many cases, in any number of processes, killed anywhere."""

from enum import StrEnum


class StoreKind(StrEnum):
    """How a cohort keeps its cases: whole, or an inserted one as what differs from its host."""

    full = "full"
    delta = "delta"
