"""Drawing: scaffold, base, refine, organs, findings, checks."""
