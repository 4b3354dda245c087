"""Trees: airways and vessels grown inside given organ masks, and painted with partial volume.

Pure functions of arrays, affines in RAS mm and a numpy generator; no torch.
"""
