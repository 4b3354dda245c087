"""Attention that uses xformers where it works and torch otherwise, with equal results."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F


@cache
def _xformers_attention():  # type: ignore[no-untyped-def]
    """xformers' kernel if it is installed and one probe call on this GPU succeeds, else None.

    Metadata is not enough: on a CPU xformers imports and then raises when called.
    """
    if not torch.cuda.is_available():
        return None
    try:
        from xformers.ops import memory_efficient_attention

        probe = torch.zeros(1, 8, 1, 32, device="cuda", dtype=torch.float16)
        memory_efficient_attention(probe, probe, probe)
    except (ImportError, NotImplementedError, RuntimeError):
        return None
    return memory_efficient_attention


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, key_mask: torch.Tensor | None = None) -> torch.Tensor:
    """Scaled dot-product attention.

    Args:
        q: (B, H, N, D); k, v: (B, H, M, D).
        key_mask: (B, M) True where a key may be attended to, or None.

    Returns:
        (B, H, N, D).
    """
    xformers = _xformers_attention() if q.is_cuda and key_mask is None else None
    if xformers is not None:
        out: torch.Tensor = xformers(*(x.transpose(1, 2) for x in (q, k, v)))
        return out.transpose(1, 2)
    mask = None if key_mask is None else key_mask[:, None, None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
