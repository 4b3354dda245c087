"""The command: doors in turn for so many minutes; a line a fault, and a table at the end."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter

from studies import fuzz
from studies.fuzz.doors import DOORS
from studies.fuzz.run import Fault, Given, run
from synth.failure import ended


def main(arguments: list[str] | None = None) -> int:
    """Parse and run; 1 where an input ended as none should."""
    return ended(_fuzz, "studies.fuzz", arguments)


def _fuzz(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m studies.fuzz", description=(fuzz.__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--door", choices=list(DOORS), action="append", help="may be repeated; all unless said")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--count", type=int, default=10**9, help="inputs of each door")
    args = parser.parse_args(arguments)
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    given: list[Given] = []
    faults: list[Fault] = []
    for found in run(args.seed, args.minutes, args.door or list(DOORS), args.first, args.count):
        if isinstance(found, Fault):
            faults.append(found)
            print(f"{found.door} {found.number}: {found.what}\n    {' '.join(found.arguments)}", flush=True)
        else:
            given.append(found)
    counts = Counter(fault.door for fault in faults)
    for door in dict.fromkeys(one.door for one in given):
        took = sorted(one.seconds for one in given if one.door == door)
        print(f"{door:12} {len(took):5} inputs, {sum(took):5.0f} s, slowest {took[-1]:4.1f} s, {counts[door]} faults")
    print(f"{len(given)} inputs, {len(faults)} faults {dict(counts)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
