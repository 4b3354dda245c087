"""A case as DICOM: a CT series, segmentations and a structured report, each marked as synthetic."""
