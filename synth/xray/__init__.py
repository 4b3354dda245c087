"""Radiographs of a CT: films with noise, a mask and path length for each structure, and what a film can show."""
