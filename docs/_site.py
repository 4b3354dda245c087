"""For `make docs`: links to files outside docs/ become their names, since the site does not hold them."""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+((?:synth|configs|evals|studies)/[^)#]+)[^)]*\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What mkdocs calls for each page."""
    return _OUTSIDE.sub(r"\1 (`\2`)", markdown)
