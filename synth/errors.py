"""The one error that a user may see without a traceback."""


class InputError(ValueError):
    """Input that cannot be used. One line: the file or option, its value, and the remedy.

    The command prints the message and exits with code 2.
    """
