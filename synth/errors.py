"""The errors that a user may see without a traceback."""


class InputError(ValueError):
    """Input that cannot be used. One line: the file or option, its value, and the remedy.

    The command prints the message and exits with code 2.
    """


class OutputError(InputError):
    """The place that is written to is full, read-only or gone: no fault of the case."""
