"""How a report is set: under the headings of organ systems, or in paragraphs. Imported by who writes none."""

from __future__ import annotations

from typing import Literal

Style = Literal["structured", "narrative"]


def style_options(style: Style) -> dict[str, object]:
    """The option of a command that says a style; none for the usual one."""
    return {} if style == "structured" else {"style": style}
