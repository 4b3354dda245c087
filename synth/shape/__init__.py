"""Shape: a mean patient and how patients differ from it, as smooth invertible deformations.

Twenty thousand volumes teach a diffusion model where a jaw is; 160 patients do not. A statistical deformation
model (Rueckert et al. 2003) learns it from few: every patient is the mean patient, deformed. A plan draws a
deformation; the deformed mean is the scaffold on which `base` and `refine` draw a patient.
"""
