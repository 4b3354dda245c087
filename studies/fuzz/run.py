"""Give hostile inputs to the command in a process of its own, and see how each ends."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from studies.fuzz import whole
from studies.fuzz.doors import DOORS, SLOW
from synth import cli
from synth.case import library
from synth.seeding import derive

HANG_S = 30  # of computing, whatever else the machine does
_WAIT_S = 120.0  # for something that never comes, on a machine that is busy
MOST_MEMORY = 4 * 2**30
CODES = (0, 1, 2)
_MARKS = ("Traceback (most recent call last)", "fault of the program")
_BATCH = 100  # inputs a process
_SLOWER = 4  # as many of the slow doors
_WRITERS = ("out", "out.png", "cache", "run")  # names that an input's command may write under


@dataclass(frozen=True)
class Fault:
    """An input that ended as none should; `--door DOOR --first NUMBER --count 1` gives it again."""

    door: str
    number: int
    what: str
    arguments: list[str]


@dataclass(frozen=True)
class Given:
    """An input that was given, and for how long the command computed."""

    door: str
    seconds: float


Seen = Fault | Given
Watched = Generator[Seen, None, tuple[int | None, Fault | None]]


def one(door: str, number: int, seed: int, sound: Path, here: Path) -> Fault | None:
    """Give one input to the command, in this process; what is wrong with how it ended."""
    rng = np.random.default_rng(derive(seed, door, number))
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir()
    arguments = DOORS[door](rng, sound, here)
    before = set(here.rglob("*"))
    library.forget()  # networks are kept by their path, and the next input has the same
    said = io.StringIO()
    code: object
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = cli.main(arguments)
        except BaseException as error:
            code = repr(error)[:200]
    wrong = _wrong(code, said.getvalue(), before, here)
    return Fault(door, number, wrong, [ascii(word)[1:-1][:200] for word in arguments]) if wrong else None


def _wrong(code: object, said: str, before: set[Path], here: Path) -> str:
    if code not in CODES:
        return f"exit code {code}: {said[-300:]}"
    if any(mark in said for mark in _MARKS):
        return f"a fault: {said[-400:]}"
    new = {path for path in here.rglob("*") if path not in before}
    if hidden := [path for path in new if path.name.startswith(".") and path.name.endswith(".partial")]:
        return f"half-written: {hidden[0]}"
    if outside := [path for path in new if path.relative_to(here).parts[0] not in _WRITERS]:
        return f"outside: {outside[0]}"
    left = [path for path in new if path.is_file() and path.relative_to(here).parts[0] != "cache"]
    return f"left behind: {left[0]}" if code == 2 and left else ""


def run(seed: int, minutes: float, doors: list[str], first: int, count: int) -> Iterator[Seen]:
    """Inputs of the doors in turn until the time is up, or `count` of each; the faults, and what was given."""
    with tempfile.TemporaryDirectory() as place:
        sound, outside = Path(place) / "sound", Path(place) / "work"
        sound.mkdir()
        outside.mkdir()
        _written(sound)
        kept = _state(sound)
        until = time.monotonic() + 60 * minutes
        number, size = first, min(_BATCH, count)
        while number < first + count and time.monotonic() < until:
            for door in doors:
                stop = min(number + (size // _SLOWER or 1 if door in SLOW else size), first + count)
                yield from _batch(door, range(number, stop), seed, sound, outside, until)
                if _state(sound) != kept:
                    yield Fault(door, number, "changed a sound input, here or in the inputs after it", [])
                    return
                for stray in sorted(outside.iterdir()):
                    yield Fault(
                        door, number, f"wrote {stray.name} outside its folder, here or in the inputs after it", []
                    )
                    shutil.rmtree(stray) if stray.is_dir() else stray.unlink()
            number += size


def _written(sound: Path) -> None:
    """Sound inputs, written by a process of its own: one that has trained cannot be forked."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                whole.write_all(sound)
            code = 0
        except BaseException:
            traceback.print_exc()  # os._exit below would swallow it
        os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the sound inputs could not be written")


def _state(sound: Path) -> list[tuple[str, int, int]]:
    states = ((path, path.stat()) for path in sound.rglob("*"))
    return sorted((str(path), state.st_size, state.st_mtime_ns) for path, state in states)


def _batch(door: str, numbers: range, seed: int, sound: Path, work: Path, until: float) -> Iterator[Seen]:
    """Some inputs in a process of their own, which is watched."""
    start = numbers.start
    while start < numbers.stop:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _child(door, range(start, numbers.stop), seed, sound, work, writer, until)
        os.close(writer)
        last, fault = yield from _watched(child, reader, door, start)
        if fault is not None:
            yield fault
        if last is None:
            return
        start = last + 1


def _child(door: str, numbers: range, seed: int, sound: Path, work: Path, writer: int, until: float) -> None:
    """Never returns: what the parent has open, a folder to remove among it, is the parent's."""
    code = 1
    try:
        os.chdir(work)
        _give(door, numbers, seed, sound, writer, until)
        code = 0
    except BaseException:
        traceback.print_exc()  # os._exit below would swallow it
    os._exit(code)


def _give(door: str, numbers: range, seed: int, sound: Path, writer: int, until: float) -> None:
    """Inputs one by one, and what came of each as a line of JSON."""
    with os.fdopen(writer, "w", buffering=1) as out:
        for number in numbers:
            if time.monotonic() > until:
                break
            print(json.dumps({"start": number}), file=out)
            since = time.process_time()
            _bound_computing()
            fault = one(door, number, seed, sound, sound.parent / "input")
            seconds = time.process_time() - since
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            if fault is None and memory > MOST_MEMORY:
                fault = Fault(door, number, f"{memory / 2**30:.1f} GB of memory", [])
            said = {"end": number, "seconds": seconds, "fault": fault and asdict(fault)}
            print(json.dumps(said), file=out)
    shutil.rmtree(sound.parent / "input", ignore_errors=True)


def _bound_computing() -> None:
    """From here on this process may compute for so long; then it is ended with SIGXCPU."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + HANG_S, hard))


def _watched(child: int, reader: int, door: str, start: int) -> Watched:
    """What a process says of its inputs; returns the input that it died of, if any, and the fault."""
    at, since, text = start, time.monotonic(), b""
    os.set_blocking(reader, False)
    while True:
        part = _read(reader)
        if part:
            text += part
            *lines, text = text.split(b"\n")
            for said in map(json.loads, lines):
                if "start" in said:
                    at, since = said["start"], time.monotonic()
                else:
                    yield Given(door, said["seconds"])
                    if said["fault"]:
                        yield Fault(**said["fault"])
        elif part == b"":
            break
        elif time.monotonic() - since > _WAIT_S:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reader)
            return at, Fault(door, at, f"waits: more than {_WAIT_S:g} s", [])
        else:
            time.sleep(0.01)
    os.close(reader)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        return None, None
    hangs = code == -signal.SIGXCPU
    return at, Fault(door, at, f"hangs: computes for {HANG_S} s" if hangs else f"the process died with {code}", [])


def _read(reader: int) -> bytes | None:
    """What is there to read; nothing at the end, None where there is nothing yet."""
    try:
        return os.read(reader, 65536)
    except BlockingIOError:
        return None
