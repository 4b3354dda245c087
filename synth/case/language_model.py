"""A language model that reads words: from transformers, or an OpenAI-compatible endpoint on this machine."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

from prompts.llm import SCHEMA, Model
from synth.errors import InputError

_LOCAL = ("localhost", "127.0.0.1", "::1")
_TOKENS = 2048
_SECONDS = 120
_HUB_SECONDS = 10


def model_of(name: str) -> Model:
    """`llm:http://localhost:8000/v1#MODEL` is an endpoint, `llm:FOLDER` or a hub's name a model of transformers."""
    scheme, _, where = name.partition(":")
    if scheme != "llm" or not where:
        raise InputError(f"--parser {name}: say grammar, llm:FOLDER or llm:http://localhost:PORT/v1#MODEL")
    if where.startswith("http"):
        return _endpoint(where, name)
    return _transformers(where, name)


def _endpoint(where: str, name: str) -> Model:
    url, _, model = where.partition("#")
    if urlparse(url).hostname not in _LOCAL:
        raise InputError(f"--parser {name}: texts may be of patients; give an endpoint on this machine (localhost)")

    def ask(prompt: str) -> str:
        body = {
            "model": model,
            "temperature": 0,
            "max_tokens": _TOKENS,
            "messages": [{"role": "user", "content": prompt}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "findings", "schema": SCHEMA}},
        }
        request = urllib.request.Request(
            f"{url.rstrip('/')}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                return str(json.loads(answer.read())["choices"][0]["message"]["content"])
        except (OSError, urllib.error.URLError, ValueError, KeyError, IndexError, TypeError) as error:
            raise InputError(
                f"--parser {name}: no answer ({error}); start the server, or say --parser grammar"
            ) from error

    return ask


def _transformers(where: str, name: str) -> Model:
    from transformers import pipeline

    _require_known(where, name)
    try:
        generator = pipeline("text-generation", model=where)
    except (OSError, ValueError) as error:
        line = str(error).splitlines()[0]
        raise InputError(f"--parser {name}: no such model ({line}); give its folder or hub name") from error

    def ask(prompt: str) -> str:
        messages = [{"role": "user", "content": prompt}]
        made = generator(messages, max_new_tokens=_TOKENS, do_sample=False, return_full_text=False)
        return str(made[0]["generated_text"])

    return ask


def _require_known(where: str, name: str) -> None:
    """A folder, a model that was fetched before, or one that the hub answers for at once: transformers asks a hub that
    is out of reach for minutes."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    if Path(where).is_dir():
        return
    try:
        if not isinstance(try_to_load_from_cache(where, "config.json"), str):
            HfApi().model_info(where, timeout=_HUB_SECONDS)
    except Exception as error:  # of requests or of httpx, by the version of huggingface_hub
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"--parser {name}: no such model ({line}); give its folder or hub name") from error
