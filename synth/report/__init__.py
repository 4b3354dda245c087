"""Measured, never wished: measure a finished case, write its report, check it again. Never sees a plan."""

from synth.report.check import check
from synth.report.comparison import Prior
from synth.report.measure import measure
from synth.report.measurements import Measurements
from synth.report.write import Report, Sentence, write

__all__ = ["Measurements", "Prior", "Report", "Sentence", "check", "measure", "write"]
