"""The one error of this package."""


class PromptError(ValueError):
    """A prompt that cannot be used. One line: the words in question, and the remedy."""
