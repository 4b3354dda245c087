"""A model of the scanner: kernel, slice thickness and noise, put on a finished case before it is measured."""

from synth.scanner.settings import Kernel, Scanner, ScannerSettings

__all__ = ["Kernel", "Scanner", "ScannerSettings"]
