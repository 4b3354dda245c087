"""The one way in and out of the disk: files of any origin read within bounds, and written whole or not at all.

Nothing here runs what it reads. Whatever is wrong with a file is an InputError that names it.
"""
