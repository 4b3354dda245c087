"""What the networks are computed in while they draw."""

from __future__ import annotations

import os
from functools import cache
from typing import Literal, cast

from synth.errors import InputError

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
PRECISION_ENV = "SYNTHCT_PRECISION"


def default_precision() -> Precision:
    """What $SYNTHCT_PRECISION says, else bfloat16 where the hardware multiplies matrices in it, else float32."""
    asked = os.environ.get(PRECISION_ENV)
    if not asked:
        return "bfloat16" if _has_bfloat16_units() else "float32"
    if asked in ("float32", "bfloat16"):
        return cast(Precision, asked)
    raise InputError(f"{PRECISION_ENV}={asked}: unknown; use float32 or bfloat16, or unset it")


@cache
def _has_bfloat16_units() -> bool:
    """A GPU that has them, or a CPU with AMX (3 to 7 times as fast) or AVX512-BF16 (twice); elsewhere it is slower."""
    import torch  # a plan alone needs none of it

    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))
