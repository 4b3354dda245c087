"""AnyPlan: the plan of a body or of a finding that is told by its extent."""

from __future__ import annotations

from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.lesion_plan import LesionPlan

AnyPlan = LesionPlan | ExtentPlan
