"""Measured, never wished: measure a finished case, write its report, check it again. Never sees a plan."""

from synth.report.check import check
from synth.report.comparison import PriorStudy
from synth.report.measure import measure
from synth.report.measurements import Measurements
from synth.report.write import Report, ReportSentence, write

__all__ = ["Measurements", "PriorStudy", "Report", "ReportSentence", "check", "measure", "write"]
