"""What libraries expect of the machine and a container or cluster node may lack."""

from __future__ import annotations

import logging
import os
import pwd

_NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")  # where `getpass.getuser` looks before it asks for the passwd entry


def name_the_user() -> None:
    """Give this process a user's name where it has none: MONAI asks for it when it is imported, and fails without."""
    if any(os.environ.get(name) for name in _NAMES):
        return
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        os.environ["LOGNAME"] = f"uid{os.getuid()}"


def quiet_plots() -> None:
    """matplotlib keeps its fonts in a folder that goes with the process where there is no home; that is no news."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
