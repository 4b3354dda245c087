"""`synthct view`: a case or a cohort in the browser, read only and on this machine alone. See docs/viewer.md."""
