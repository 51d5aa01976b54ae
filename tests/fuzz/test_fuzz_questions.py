"""Questions to `rules`: any text gives a plan or a refusal, quickly, and never an exception."""

import time
from pathlib import Path

from hypothesis import strategies as st

from sam3agent.api import MAX_QUESTION, Agent
from sam3agent.rules.grammar import parse
from sam3model.errors import InputError
from sam3model.printable import printable
from tests.agent.world import World
from tests.fuzz.commands import harmless, sam3agent
from tests.fuzz.fuzzing import fuzzed

WORDS = [
    "the", "a", "all", "every", "both", "two", "2", "third", "3rd", "99999999999", "players", "player", "ball", "balls",
    "car", "white", "red", "not", "except", "but", "and", "or", "without", "leftmost", "left", "right", "of", "to",
    "from", "in", "on", "top", "between", "behind", "nearest", "next", "largest", "smaller", "than", "who", "that",
    "is", "are", "one", "ones", "it", "middle", "half", "first", "last", "left of the", "?", ",", ".", "'s", "-", "/",
    "der", "joueur", "的", "🏀", "\u202e", "\x1b[2J", "\ud800", "\0", "", "x" * 90,
]  # fmt: skip
GRAMMATICAL = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)
REPEATED = st.builds(lambda word, times: f"{word} " * times, st.sampled_from(WORDS), st.integers(1, 2000))
QUESTIONS = GRAMMATICAL | st.text(max_size=60) | REPEATED | st.text(WORDS[0] + "aeiou 0123456789", max_size=200)


@fuzzed(QUESTIONS, quick=150)
def test_any_text_gives_a_plan(_: Path, question: str) -> None:
    started = time.process_time()
    plan = parse(question[:MAX_QUESTION])
    assert time.process_time() - started < 2
    assert plan.targets or plan.objection
    assert not (plan.targets and plan.objection)


@fuzzed(QUESTIONS, quick=30)
def test_any_question_is_answered_or_refused(folder: Path, question: str) -> None:
    world = World()
    try:
        answer = Agent(world).ask(world.image, question, out=folder)
    except InputError as error:
        assert str(error).startswith("the question ")
        assert not any(folder.iterdir()), "a question that cannot be asked leaves files"
        return
    assert answer.status in ("answered", "no_match", "not_understood")
    assert bool(answer.masks) == (answer.status == "answered")
    assert printable(answer.reason) == answer.reason or not all(map(harmless, question))
    assert (folder / "masks.json").is_file()


@fuzzed(st.lists(st.sampled_from(WORDS) | st.text(max_size=12), max_size=6), quick=15)
def test_any_words_on_the_command_line(folder: Path, words: list[str]) -> None:
    """The image is missing, so that only the words count."""
    sam3agent("ask", "--out", str(folder / "out"), "--", str(folder / "no.png"), *words, codes=(1, 2))
