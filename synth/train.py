"""`accelerate launch -m synth.train base --config configs/train/base.yaml`: the trainer without the command."""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    """Parse and train."""
    parser = argparse.ArgumentParser(prog="python -m synth.train", description=__doc__)
    parser.add_argument("network", choices=["base", "refine", "lesion"])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--max-minutes", type=float)
    args = parser.parse_args()
    from synth.training.main import train

    given = {"out": args.out, "data": args.data, "max_minutes": args.max_minutes}
    train(args.network, args.config, {k: v for k, v in given.items() if v is not None})


if __name__ == "__main__":
    main()
