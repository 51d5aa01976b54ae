"""A domain of scenes: its object kinds, colours and themes."""

from collections.abc import Mapping
from dataclasses import dataclass

from sam3model.playground.backgrounds import PAINTERS, Painter
from sam3model.playground.kinds import KINDS, Kind
from sam3model.playground.palette import COLOURS, RGB
from sam3model.playground.themes import THEMES, Theme


@dataclass(frozen=True, slots=True)
class Domain:
    """Kinds, colours, themes and background painters by name; a theme and its painter have the same name."""

    kinds: Mapping[str, Kind]
    colours: Mapping[str, RGB]
    themes: Mapping[str, Theme]
    painters: Mapping[str, Painter]


PLAYGROUND = Domain(KINDS, COLOURS, THEMES, PAINTERS)
