"""A world of scenes: which things, colours and settings there are."""

from collections.abc import Mapping
from dataclasses import dataclass

from sam3model.playground.backgrounds import PAINTERS, Painter
from sam3model.playground.kinds import KINDS, Kind
from sam3model.playground.palette import COLOURS, RGB
from sam3model.playground.themes import THEMES, Theme


@dataclass(frozen=True, slots=True)
class Domain:
    """Kinds, colour words, settings and their backgrounds, each by name; a setting and its background share theirs."""

    kinds: Mapping[str, Kind]
    colours: Mapping[str, RGB]
    themes: Mapping[str, Theme]
    painters: Mapping[str, Painter]


PLAYGROUND = Domain(KINDS, COLOURS, THEMES, PAINTERS)
