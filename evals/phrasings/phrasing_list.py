"""Questions written by hand: some that name no clear set of objects, and some about one known scene."""

from collections.abc import Callable

from evals.phrasings.scene_facts import Ids
from sam3model.playground import relations
from sam3model.playground.scene import Scene, SceneObject

UNREADABLE: dict[str, tuple[str, ...]] = {
    "languages": (
        "el jugador más a la izquierda", "todas las pelotas rojas", "la pelota", "der linke Spieler",
        "alle roten Bälle",
        "die Person ganz rechts", "le joueur le plus à gauche", "toutes les balles", "la palla rossa",
        "il giocatore a sinistra",
        "os jogadores de branco", "de linker speler in het wit", "最左边的白衣球员",
        "左から三番目の選手", "самый левый игрок",
        "빨간 공", "الكرة الحمراء", "सबसे बड़ी गेंद",
        "spelaren längst till vänster", "en çok soldaki oyuncu",
        "o homem mais alto", "jucătorul din stânga", "wo ist der Ball?", "où est le chat",
    ),
    "unclear": (
        "half of the balls", "most of the players", "the least striped ball", "a few of the players", "several balls",
        "every other player", "every second player from the left", "the other ball", "another player",
        "all but two players",
        "more players than balls", "a third of the players", "at least two players", "more than three balls",
        "the average player", "players of the same colour", "the two balls of the same size",
        "balls with different colours",
        "the ball that is the same colour as the car", "the player with the most space around him", "the odd one out",
        "the most colourful ball", "the second to last player from the left", "either of the two players",
        "whichever player is best", "the player who will score next", "why is the player on the left",
        "when was this taken",
        "is the ball red?", "what colour is the ball", "are there more players than balls?",
        "what is the capital of France",
        "hello", "thank you very much", "who won?",
        "if there is a ball, the player next to it, otherwise the referee",
        "the ball unless it is red", "the ball not", "except the ball", "the of and", "left", "left of",
        "behind", "not",
        "the player between", "the two", "than the ball", "without", "??", "asdf qwer zxcv", "the the the",
        "1 2 3", "e4 e5",
        "the player to the left of", "players larger than", "the ball nearest", "no players",
        "none of the balls", "nothing",
        "the leftmost and", "Find the ball. Then find the player left of it.", "the ball; the player",
        "the almost leftmost player", "the nearly red ball", "the player not quite in the middle", "the darkest ball",
        "the brightest player", "the newest car", "the fastest player", "the oldest person", "the happiest dog",
        "the player who looks at the ball", "the player about to kick the ball", "the ball the player kicks",
        "the player whose shirt is white", "the ball that belongs to the referee", "players facing left",
        "the player diagonally opposite the ball", "the ball 20 pixels from the left", "the object at 100, 200",
        "the second player and a half", "the third and",
        "the dog left of the player left of the player left of the player left of the player left of the ball",
    ),
    "unknown": (
        "the zebra", "all the giraffes", "the goalkeeper's gloves", "the scoreboard", "the flibbertigibbet",
        "every wug",
        "the ballistic missile", "the leftmost xylophone", "how many sandwiches are there", "the biggest dinosaur",
    ),
    "slips": (
        "the leftmots player", "teh ball", "the rigthmost player", "the playr in white", "the bigest ball",
        "all plyers",
        "the payler on the left", "the ball nxet to the player", "playeers", "the secnd player from the left",
        "all players exept the leftmost one", "the larggest player",
    ),
}  # fmt: skip
"""Texts that a bare answer or a bare "no match" cannot be right for, by kind. Any scene will do."""

_P, _B = "player", "ball"


def _kind(scene: Scene, kind: str, colour: str = "") -> list[SceneObject]:
    return [o for o in scene.objects if o.kind == kind and colour in ("", o.colour)]


def _first(kind: str, colour: str, side: str, count: int = 1) -> Callable[[Scene], Ids | None]:
    return lambda scene: relations.first(scene, _kind(scene, kind, colour), side, count)


def _every(kind: str, *colours: str) -> Callable[[Scene], Ids | None]:
    return lambda scene: tuple(o.id for o in scene.objects if o.kind == kind and (not colours or o.colour in colours))


def _nearest(kind: str, colour: str, anchor: str) -> Callable[[Scene], Ids | None]:
    return lambda scene: relations.nearest(_kind(scene, kind, colour), _kind(scene, anchor)[0])


def _without(kind: str, *colours: str) -> Callable[[Scene], Ids | None]:
    return lambda scene: tuple(o.id for o in scene.objects if o.kind == kind and o.colour not in colours)


MATCH: tuple[tuple[str, Callable[[Scene], Ids | None]], ...] = (
    ("Hey, could you show me the guy in white who is standing furthest to the left?", _first(_P, "white", "left")),
    ("who is on the far left?", _first(_P, "", "left")),
    ("The player, wearing red, that is the rightmost.", _first(_P, "red", "right")),
    ("I'd like all the red players please", _every(_P, "red")),
    ("what about the ball?", _every(_B)),
    ("footballers in white", _every(_P, "white")),
    ("everyone in white", _every(_P, "white")),
    ("all people in red", _every(_P, "red")),
    ("the white team", _every(_P, "white")),
    ("players of the red team", _every(_P, "red")),
    ("the red player nearest to the ball", _nearest(_P, "red", "ball")),
    ("which player in white is nearest to the ball", _nearest(_P, "white", "ball")),
    ("players in white or red", _every(_P, "white", "red")),
    ("players in neither white nor red", _without(_P, "white", "red")),
    ("players except those in red or white", _without(_P, "white", "red")),
    ("the player who is not wearing red nor white", _without(_P, "white", "red")),
    ("the first two players in white from the left", _first(_P, "white", "left", 2)),
    ("two leftmost players dressed in white", _first(_P, "white", "left", 2)),
    ("every player that is dressed in red", _every(_P, "red")),
    ("the one in white on the far left", _first(_P, "white", "left")),
    ("the ball, please!", _every(_B)),
    ("THE LEFTMOST PLAYER IN WHITE", _first(_P, "white", "left")),
    ("the   leftmost\tplayer\nin white", _first(_P, "white", "left")),
    ("“leftmost” player in white", _first(_P, "white", "left")),
    ("leftmost player wearing a white shirt", _first(_P, "white", "left")),
    ("the leftmost player with a white jersey", _first(_P, "white", "left")),
    ("the soccer ball", _every(_B)),
    ("the round ball", _every(_B)),
    ("the white players, but only the leftmost one", _first(_P, "white", "left")),
    ("only the red players", _every(_P, "red")),
    ("the rightmost of the players in red", _first(_P, "red", "right")),
    ("out of the players in red, the rightmost one", _first(_P, "red", "right")),
    ("of all players in red the rightmost one", _first(_P, "red", "right")),
    ("among the red players, the one furthest to the right", _first(_P, "red", "right")),
    ("Is there a ball? If so, mark it.", _every(_B)),
    ("everything red", _every(_P, "red")),
)  # fmt: skip
"""Questions about the scene that ships with the package, with the function that finds their answer in its facts."""
