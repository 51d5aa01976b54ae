"""Images and clips that a server keeps open: encoded once for all clients, each client with masks of its own."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from sam3agent.deadlines import within
from sam3agent.media import Media
from sam3agent.pool import MaskPool
from sam3agent.segmenter import Segmenter, SegmenterSession
from sam3agent.servers.client_shares import ClientShares
from sam3agent.servers.confined_files import ConfinedFile, FileKey
from sam3agent.servers.server_memory import return_memory
from sam3model.errors import InputError

CAPACITY = 8
"""Number of encoded images that are kept; one that is used again is encoded again, and its masks keep their ids."""

MAX_PIXEL_BYTES = 512 * 1024**2
"""Maximum size of the pixels of the images that are kept; the one opened last may be larger."""

OPENING_AT_ONCE = 4
"""Number of images that are opened at once; more wait on the event loop."""

OPEN_SECONDS = 20.0
"""Maximum time for opening a file; a network drive that is away must not hold up the server."""

FRESH_BOARDS = 16
"""Number of boards, those used last, whose masks stay decoded; a mask of a large image takes megabytes."""

FRESH_BYTES = 64 * 1024**2
"""Maximum size of those masks; the board that is in use may be larger."""

MAX_BOARDS = 256
"""Number of images of one client whose masks are remembered."""

MAX_BOARD_BYTES = 128 * 1024**2
"""Maximum size of all masks that are remembered."""

CANDIDATE_BYTES = 1000
"""What a candidate takes besides its mask, about."""


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

    @property
    def pixel_bytes(self) -> int:
        """Size of one frame in bytes."""
        width, height = self.media.size
        return 3 * width * height


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
            if self._too_many():
                while self._too_many():
                    self._kept.popitem(last=False)
                await within(None, return_memory)
            return opened
        finally:
            del self._opening[key]

    def _too_many(self) -> bool:
        size = sum(one.pixel_bytes for one in self._kept.values())
        return len(self._kept) > CAPACITY or (len(self._kept) > 1 and size > MAX_PIXEL_BYTES)

    def _encoded(self, file: ConfinedFile) -> tuple[Media, SegmenterSession]:
        media = file.media()
        return media, self._segmenter.open(media)


class Turn(asyncio.Lock):
    """A lock that also knows who waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._users = 0

    @property
    def wanted(self) -> bool:
        """Whether anybody holds it or waits for it."""
        return self._users > 0

    async def acquire(self) -> Literal[True]:
        """Wait for the turn, and take it."""
        self._users += 1
        try:
            return await super().acquire()
        except BaseException:
            self._users -= 1
            raise

    def release(self) -> None:
        """Pass it on."""
        super().release()
        self._users -= 1


@dataclass(eq=False)
class MaskBoard:
    """What one client has found on one image. Whoever holds `turn` may replace `pool`.

    resting: whether it was put away, with its masks stored as RLE, and nobody has asked for it since.
    """

    pool: MaskPool = field(default_factory=MaskPool)
    turn: Turn = field(default_factory=Turn)
    resting: bool = False

    @property
    def nbytes(self) -> int:
        """Size in memory in bytes, about."""
        return CANDIDATE_BYTES + sum(c.masklet.nbytes + CANDIDATE_BYTES for c in self.pool.candidates)

    async def rest(self) -> None:
        """Store the masks as RLE, unless they are in use."""
        if self.turn.locked() or self.resting:
            return
        self.resting, before = True, self.pool
        packed = await within(None, before.packed)
        if self.pool is before:
            self.pool = packed


class MaskBoards:
    """The boards used last, and all in use. Ids are valid as long as their board is remembered and the file unchanged.

    Ids of a board that was forgotten are not given again, so an old id never means another mask.
    """

    def __init__(self) -> None:
        self._boards = ClientShares[tuple[str, FileKey], MaskBoard](
            MAX_BOARDS, MAX_BOARD_BYTES, self._forget, lambda board: board.turn.wanted
        )
        self._first_id = 1
        self._packing = set[asyncio.Task[None]]()

    def get(self, client: str, key: FileKey) -> MaskBoard:
        """The board of a client and an image; a new one if there is none."""
        board = self._boards.get((client, key))
        if board is None:
            board = MaskBoard(MaskPool(next_id=self._first_id))
            self._boards.put((client, key), client, board, board.nbytes)
        board.resting = False
        self._tidy()
        return board

    def _tidy(self) -> None:
        """Let boards rest that were not used lately."""
        fresh = 0
        awake = ((key, board) for key, board in self._boards.newest() if not board.resting)
        for place, (key, board) in enumerate(awake):
            fresh += board.nbytes
            if place and (place >= FRESH_BOARDS or fresh > FRESH_BYTES):
                task = asyncio.get_running_loop().create_task(self._put_away(key, board))
                self._packing.add(task)  # so that it is not collected
                task.add_done_callback(self._packing.discard)

    async def _put_away(self, key: tuple[str, FileKey], board: MaskBoard) -> None:
        await board.rest()
        self._boards.resize(key, board.nbytes)

    def _forget(self, board: MaskBoard) -> None:
        self._first_id = max(self._first_id, board.pool.next_id)
