"""How a report is set: under the headings of organ systems, or in paragraphs. Imported by who writes none."""

from __future__ import annotations

from typing import Literal

Style = Literal["structured", "narrative"]
