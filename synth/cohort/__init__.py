"""Cohorts: from a recipe to a data set of many cases, in any number of processes, killed anywhere."""
