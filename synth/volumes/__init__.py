"""Volumes and label maps: arrays that know their grid, their files, and whether labels fit their CT."""
