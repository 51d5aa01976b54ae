"""What a labelling run does to each image: all that its results depend on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sam3agent.api import make_segmenter
from sam3agent.batch_journal import weights_as_read
from sam3agent.config import Settings
from sam3agent.downloads import shown_url
from sam3agent.segmenter import Segmenter
from sam3model.connection import without_account
from sam3model.errors import InputError

VERSION = 2
"""Of the records in journals, which change with the sources, names and groups of images."""

SHARD_SIZE = 1000
"""Number of images in a shard: what the coordinator has in memory, and what a restart checks at once."""

ImageMode = Literal["link", "copy", "none"]
"""How images get into the data set: as links to where they are, as copies, or not at all."""


@dataclass(frozen=True)
class LabelJob:
    """A labelling run. It is sent to every worker, so it can be pickled.

    out: the folder of the data set. sources, every: the images as typed, and which frames of clips; only the run itself
    reads them. phrases: each is a class, searched with the segmenter alone. queries: each is a class, answered by the
    agent. min_score: minimum score of a mask. exclusive: an object that several classes claim belongs to the one with
    the highest score; otherwise to all. images: see `ImageMode`; images that are not files, such as frames, are copied
    unless it is "none". calls: maximum number of MLLM calls at once, over all workers. segmenter: makes the segmenter
    of the settings; a function of a module, so that workers can import it.
    """

    out: Path
    sources: tuple[str, ...] = ()
    every: int = 1
    phrases: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    min_score: float = 0.5
    exclusive: bool = False
    images: ImageMode = "link"
    shard_size: int = SHARD_SIZE
    calls: int = 8
    segmenter: Callable[[Settings], Segmenter] = make_segmenter

    def __post_init__(self) -> None:
        """Raises `InputError` for a job without classes, or numbers that make no sense."""
        if not self.classes:
            raise InputError("nothing to search for: give --phrase, or --query for a question")
        if not all(map(str.strip, self.classes)):
            raise InputError("a phrase or question is empty: give a short noun phrase, e.g. --phrase 'red ball'")
        if len(set(self.classes)) < len(self.classes):
            raise InputError("two classes have the same name: give each phrase and query once")
        if not 0 < self.min_score < 1:
            raise InputError(f"--min-score {self.min_score:g} is not between 0 and 1")
        if self.calls < 1 or self.shard_size < 1:
            raise InputError("--concurrency and --shard-size must be at least 1")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: the phrases, then the queries."""
        return (*self.phrases, *self.queries)

    @property
    def asks_mllm(self) -> bool:
        """Whether images cost MLLM calls."""
        return bool(self.queries) and self.settings.backend != "rules"

    @property
    def start(self) -> dict[str, Any]:
        """The first record of every journal; a run is only continued with the same."""
        agent = ("backend", "model", "threshold", "effort", "without", "max_calls", "max_segmenter_calls")
        asked = {name: getattr(self.settings, name) for name in agent} if self.queries else {}
        asked |= self.settings.of_replies if self.queries else {}
        if self.queries and self.settings.base_url:
            asked["base_url"] = without_account(self.settings.base_url)
        return {
            "event": "start",
            "version": VERSION,
            "command": "label",
            "sources": [shown_url(word.rstrip("/")) for word in self.sources],
            "every": self.every,
            "phrases": list(self.phrases),
            "queries": list(self.queries),
            "weights": weights_as_read(self.settings.weights),
            "min_score": self.min_score,
            "exclusive": self.exclusive,
            "images": self.images,
            "shard_size": self.shard_size,
            **asked,
        }
