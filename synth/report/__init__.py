"""Measured, never wished: measure a finished case, write its report, check it again. Never sees a plan."""
