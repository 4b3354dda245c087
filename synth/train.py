"""`accelerate launch -m synth.train base --config configs/train/base.yaml steps=9`: the trainer without the command."""

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
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="differences from the file: steps=1000")
    args = parser.parse_intermixed_args(arguments)
    from synth.settings import key_values
    from synth.training.main import train

    train(args.network, args.config, key_values(args.settings, "train"))


if __name__ == "__main__":
    sys.exit(main())
