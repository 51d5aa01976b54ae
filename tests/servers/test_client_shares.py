"""Shares of clients: a busy client pushes out only its own, and all together stay small."""

from sam3agent.servers.client_shares import ClientShares


def keys(shares: ClientShares[str, str], client: str | None = None) -> list[str]:
    return [key for key, _ in shares.newest(client)]


def test_a_client_with_too_many_loses_its_own_oldest() -> None:
    gone = list[str]()
    shares = ClientShares[str, str](2, 1000, gone.append)
    shares.put("quiet", "one", "q", 1)
    for key in "abc":
        shares.put(key, "two", key, 1)
    assert gone == ["a"] and keys(shares, "two") == ["c", "b"] and keys(shares, "one") == ["quiet"]
    assert shares.get("b") == "b" and shares.get("a") is None
    shares.put("d", "two", "d", 1)
    assert gone == ["a", "c"] and keys(shares) == ["d", "b", "quiet"]


def test_the_client_with_most_bytes_gives_room_but_never_what_is_in_use() -> None:
    gone = list[str]()
    shares = ClientShares[str, str](10, 100, gone.append)
    shares.put("small", "one", "small", 20)
    shares.put("first", "two", "first", 40)
    shares.put("second", "two", "second", 30)
    shares.resize("small", 45)
    assert gone == ["first"]
    shares.put("huge", "one", "huge", 500)
    assert keys(shares) == ["huge"] and gone == ["first", "small", "second"]
    shares.drop("huge")
    shares.resize("huge", 7)
    assert len(shares) == 0 and "huge" not in gone


def test_what_is_held_is_pushed_out_once_it_is_free() -> None:
    held, gone = {"a", "b"}, list[str]()
    shares = ClientShares[str, str](2, 100, gone.append, held.__contains__)
    for key in "abc":
        shares.put(key, "one", key, 40)
    assert gone == [] and len(shares) == 3
    held.remove("a")
    shares.put("d", "one", "d", 10)
    assert gone == ["a"] and keys(shares) == ["d", "c", "b"]
    shares.resize("d", 90)
    assert gone == ["a", "c"] and keys(shares) == ["d", "b"]
