"""What a server keeps for its clients: each has a share of its own, and all together have a limit in bytes."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Kept(Generic[V]):
    """client: whose it is. size: in bytes, as far as it is known."""

    client: str
    value: V
    size: int


def _ignore(_: object) -> None:
    """Tell nobody."""


def _never(_: object) -> bool:
    """Everything may be pushed out."""
    return False


class ClientShares(Generic[K, V]):
    """Values by key, those used last. A client with too many loses its own; if all are too large, the largest does."""

    def __init__(
        self,
        most: int,
        most_bytes: int,
        let_go: Callable[[V], None] = _ignore,
        is_held: Callable[[V], bool] = _never,
    ) -> None:
        """most: number of values of one client. most_bytes: of all values. let_go: hears of each that is pushed out.

        is_held: whether a value is in use, so that it is not pushed out before a later time.
        """
        self._most = most
        self._most_bytes = most_bytes
        self._let_go = let_go
        self._is_held = is_held
        self._kept = OrderedDict[K, _Kept[V]]()

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, key: K, client: str, value: V, size: int) -> None:
        """Keep a value; others may have to go for it."""
        self._kept[key] = _Kept(client, value, size)
        self._kept.move_to_end(key)
        mine = [other for other, one in self._kept.items() if one.client == client]
        for other in mine[: -self._most]:
            if not self._is_held(self._kept[other].value):
                self._push_out(other)
        self._fit(key)

    def get(self, key: K) -> V | None:
        """The value of a key, which is used now; None if it is not kept."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept.value

    def resize(self, key: K, size: int) -> None:
        """Note that a value has another size now."""
        if key in self._kept:
            self._kept[key].size = size
            self._fit(key)

    def drop(self, key: K) -> None:
        """Forget a value that is not needed any more."""
        self._kept.pop(key, None)

    def newest(self, client: str | None = None) -> Iterator[tuple[K, V]]:
        """The values of a client, or of all, with their keys; those used last come first."""
        for key, one in reversed(list(self._kept.items())):
            if client in (None, one.client):
                yield key, one.value

    def _fit(self, used: K) -> None:
        """Push out values until all are small enough, each the oldest of the client with most; never one in use."""
        while sum(one.size for one in self._kept.values()) > self._most_bytes:
            sizes = Counter[str]()
            free = {key: one for key, one in self._kept.items() if key != used and not self._is_held(one.value)}
            for one in free.values():
                sizes[one.client] += one.size
            if not sizes.total():
                return
            ((largest, _),) = sizes.most_common(1)
            self._push_out(next(key for key, one in free.items() if one.client == largest))

    def _push_out(self, key: K) -> None:
        self._let_go(self._kept.pop(key).value)
