"""Who holds a folder: one process, and none that it has forked."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from synth.errors import InputError
from synth.files.flock import alone_in


def test_a_folder_is_held_once(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(InputError, match="another run"), alone_in(tmp_path):
        pass
    with alone_in(tmp_path):
        pass


def test_a_child_that_outlives_the_one_that_holds_does_not_hold(tmp_path: Path) -> None:
    """Loader workers do, for a while, when a training is killed."""
    told, tell = os.pipe()
    holder = os.fork()
    if holder == 0:
        with alone_in(tmp_path):
            worker = os.fork()
            if worker == 0:
                os.write(tell, f"{os.getpid()} ".encode())
                time.sleep(60)
                os._exit(0)
            time.sleep(60)
        os._exit(0)
    worker = int(os.read(told, 20))
    try:
        with pytest.raises(InputError, match="another run"), alone_in(tmp_path):
            pass
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        with alone_in(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)
