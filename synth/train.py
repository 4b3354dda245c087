"""`accelerate launch -m synth.train base --config configs/train/base.yaml`: the trainer without the command."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from synth.failure import ended


def main(arguments: list[str] | None = None) -> int:
    """Parse and train; the exit code."""
    return ended(_train, "synth.train", arguments)


def _train(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m synth.train", description=__doc__)
    parser.add_argument("network", choices=["base", "refine", "lesion"])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--max-minutes", type=float)
    args = parser.parse_args(arguments)
    from synth.training.main import train

    given = {"out": args.out, "data": args.data, "max_minutes": args.max_minutes}
    train(args.network, args.config, {k: v for k, v in given.items() if v is not None})


if __name__ == "__main__":
    sys.exit(main())
