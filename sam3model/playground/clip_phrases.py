"""Noun phrases for a whole clip, with the objects that match at any time in it."""

from sam3model.playground.clip import Clip
from sam3model.playground.clip_trails import ClipTrails, trails_of
from sam3model.playground.dice import Dice
from sam3model.playground.phrases import PhraseQuery, choose_phrases


def clip_phrases(clip: Clip) -> list[PhraseQuery]:
    """Up to six phrases that match something in the clip, then about five that match nothing; always the same ones.

    Phrases are about kind, colour, pattern and size, which never change, and their ids are those of all objects that
    match, also if they are seen for a part of the clip only. Nothing is said about objects that are hardly seen at all.
    Hard negatives match nothing on any frame. No frame is rendered.
    """
    return phrases_of(trails_of(clip))


def phrases_of(trails: ClipTrails) -> list[PhraseQuery]:
    """The phrases of a clip from the trails of its objects."""
    return choose_phrases(trails, Dice(*trails.name, "clip phrases"), trails.unclear)
