"""Lesions into a CT, real or generated: plan, shape, texture, insertion."""

from synth.lesions.insertion import Redraw, insert, keep_painted
from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.planning import plan_lesions

__all__ = ["LesionPlan", "Redraw", "insert", "keep_painted", "plan_lesions"]
