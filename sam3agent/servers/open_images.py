"""Images and clips that a server keeps open: encoded once for all clients, each client with masks of its own."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from sam3agent.deadlines import within
from sam3agent.media import Media
from sam3agent.pool import MaskPool
from sam3agent.segmenter import Segmenter, SegmenterSession
from sam3agent.servers.confined_files import ConfinedFile, FileKey
from sam3model.errors import InputError

CAPACITY = 8
"""Number of encoded images that are kept; one that is used again is encoded again, and its masks keep their ids."""

OPENING_AT_ONCE = 4
"""Number of images that are opened at once; more wait on the event loop."""

OPEN_SECONDS = 20.0
"""Maximum time for opening a file; a network drive that is away must not hold up the server."""

FRESH_BOARDS = 16
"""Number of boards, those used last, whose masks stay decoded; a mask of a large image takes megabytes."""

MAX_BOARDS = 256
"""Number of images, counted for each client, whose masks are remembered."""


@dataclass(frozen=True, eq=False)
class OpenImage:
    """A medium with its encoded first frame. path: the real path of its file."""

    key: FileKey
    media: Media
    session: SegmenterSession

    @property
    def path(self) -> str:
        """The real path of its file."""
        return self.key[0]


class OpenImages:
    """The images used last. Opening one never holds up calls on another, and two calls at once encode it once."""

    def __init__(self, segmenter: Segmenter, open_file: Callable[[str], ConfinedFile]) -> None:
        """open_file: opens what a caller wrote; raises `InputError` if it may not be read."""
        self._segmenter = segmenter
        self._open_file = open_file
        self._kept: OrderedDict[FileKey, OpenImage] = OrderedDict()
        self._opening: dict[FileKey, asyncio.Task[OpenImage]] = {}
        self._gate = asyncio.Semaphore(OPENING_AT_ONCE)

    async def get(self, written: str) -> OpenImage:
        """The open image that a caller names.

        Raises `InputError` if it may not be read or is neither image nor clip, `CheckpointError` if the weights cannot
        be loaded.
        """
        try:
            file = await within(OPEN_SECONDS, self._open_file, written)
        except TimeoutError:
            raise InputError(
                f"the file cannot be opened within {OPEN_SECONDS:.0f} s: is its drive reachable?"
            ) from None
        key = file.key
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key not in self._opening:
            task = self._opening[key] = asyncio.get_running_loop().create_task(self._opened(file, key))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # also if nobody waits any more
        return await asyncio.shield(self._opening[key])

    async def _opened(self, file: ConfinedFile, key: FileKey) -> OpenImage:
        try:
            async with self._gate:
                media, session = await within(None, self._encoded, file)
            opened = self._kept[key] = OpenImage(key, media, session)
            while len(self._kept) > CAPACITY:
                self._kept.popitem(last=False)
            return opened
        finally:
            del self._opening[key]

    def _encoded(self, file: ConfinedFile) -> tuple[Media, SegmenterSession]:
        media = file.media()
        return media, self._segmenter.open(media)


@dataclass(eq=False)
class MaskBoard:
    """What one client has found on one image. Whoever holds `turn` may replace `pool`."""

    pool: MaskPool = field(default_factory=MaskPool)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    packed: MaskPool | None = None

    async def pack(self) -> None:
        """Store the masks as RLE, unless they are in use."""
        if self.turn.locked() or self.pool is self.packed:
            return
        before = self.pool
        packed = await within(None, before.packed)
        if self.pool is before:
            self.pool = self.packed = packed


class MaskBoards:
    """The boards used last. Mask ids are valid as long as their board is remembered and the file is unchanged."""

    def __init__(self) -> None:
        self._boards: OrderedDict[tuple[str, FileKey], MaskBoard] = OrderedDict()
        self._packing = set[asyncio.Task[None]]()

    def get(self, client: str, key: FileKey) -> MaskBoard:
        """The board of a client and an image; a new one if there is none."""
        board = self._boards.setdefault((client, key), MaskBoard())
        self._boards.move_to_end((client, key))
        while len(self._boards) > MAX_BOARDS:
            self._boards.popitem(last=False)
        for old in islice(reversed(self._boards.values()), FRESH_BOARDS, FRESH_BOARDS + 1):
            task = asyncio.get_running_loop().create_task(old.pack())
            self._packing.add(task)  # so that it is not collected
            task.add_done_callback(self._packing.discard)
        return board
