"""A region is a value: its frame, anchor, organs, facts, and the words that speak of them. No torch here."""

from synth.regions.facts import Fact as Fact
from synth.regions.frame import Frame as Frame
from synth.regions.region import Region as Region
from synth.regions.region import for_words as for_words
from synth.regions.region import read as read
from synth.regions.region import shipped as shipped
from synth.regions.region import shipped_names as shipped_names
