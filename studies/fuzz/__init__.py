"""Hostile input at every door of the command: what it does with it is one line and an exit code, or the work.

python -m studies.fuzz --minutes 20            # every door in turn, from seed 0
python -m studies.fuzz --door nifti --first 123 --count 1     # one input again
"""
