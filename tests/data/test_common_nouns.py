"""Foreign nouns: a shipped list, without what a data set has, and their place among the prompts of an image."""

import numpy as np
import pytest

from sam3model.data.annotations import AnnotatedImage, AnnotatedPhrase, Annotation
from sam3model.data.common_nouns import chosen_nouns, common_nouns, foreign_nouns
from sam3model.data.query_sampling import QuerySampler
from tests.data.annotated_sets import SIZE

NAMES = {noun.name for noun in common_nouns()}


def every(*vocabulary: str, present=()) -> set[str]:
    found = foreign_nouns(vocabulary, present)
    assert not set(found.training) & set(found.held_out)
    return {*found.training, *found.held_out}


def test_the_list_is_long_and_without_repetition():
    assert len(common_nouns()) == len(NAMES) >= 250
    assert every("forklift") == NAMES
    assert len(foreign_nouns(["forklift"]).held_out) >= 50


@pytest.mark.parametrize(
    ("word", "left_out"),
    [
        ("zebra", "zebra"),
        ("Zebras", "zebra"),
        ("young zebra", "zebra"),
        ("horse", "zebra"),  # similar
        ("animals", "zebra"),  # general
        ("birds", "owl"),
        ("fire_truck", "fire engine"),
        ("firetruck", "fire engine"),
        ("boat", "sailing boat"),  # a part of its name
        ("strawberries", "strawberry"),
        ("wolves", "fox"),
    ],
)
def test_nouns_that_may_name_something_in_the_data_set_are_left_out(word, left_out):
    phrase = word.replace("_", " ")
    assert left_out in NAMES
    assert left_out not in every(phrase)
    assert left_out not in every("robot", present=[phrase])
    assert len(every(phrase)) > 200


def test_which_nouns_are_held_out_does_not_depend_on_the_data_set():
    some, other = foreign_nouns(["robot"]), foreign_nouns(["horse", "chair", "pizza"])
    assert not set(some.training) & set(other.held_out)
    assert not set(other.training) & set(some.held_out)
    assert chosen_nouns(some.held_out, 20) == chosen_nouns(reversed(some.held_out), 20)


def image_with(*names: str) -> AnnotatedImage:
    phrases = tuple(AnnotatedPhrase(name, (Annotation((0, 0, 5, 5)),)) for name in names)
    return AnnotatedImage("image", None, SIZE, phrases)


def drawn(sampler: QuerySampler, image: AnnotatedImage, vocabulary, times=300):
    return [sampler.choose(image, vocabulary, np.random.default_rng(seed)) for seed in range(times)]


FOREIGN = ("zebra", "owl", "igloo", "harp")


def fraction(chosen, names) -> float:
    phrases = [one for some in chosen for one in some if not one.annotations]
    return sum(one.phrase in names for one in phrases) / len(phrases)


def test_the_only_class_of_a_data_set_gets_foreign_negatives():
    sampler = QuerySampler(phrases=6, negatives=0.4, foreign=FOREIGN, foreign_fraction=0.3)
    chosen = drawn(sampler, image_with("robot"), ["robot"])
    assert fraction(chosen, FOREIGN) == 1
    assert sum(len(some) - 1 for some in chosen) / sum(map(len, chosen)) == pytest.approx(0.4, abs=0.05)


def test_foreign_nouns_are_their_fraction_of_the_negatives_among_others():
    sampler = QuerySampler(phrases=6, negatives=0.5, foreign=FOREIGN, foreign_fraction=0.3)
    chosen = drawn(sampler, image_with("a", "b", "c"), list("abcdefghijkl"))
    assert fraction(chosen, FOREIGN) == pytest.approx(0.3, abs=0.06)


def test_with_every_phrase_in_use_some_foreign_nouns_follow():
    sampler = QuerySampler(phrases=20, negatives=None, foreign=FOREIGN, foreign_fraction=0.3)
    for some in drawn(sampler, image_with("a", "b"), list("abcde"), 20):
        assert {one.phrase for one in some} >= set("abcde")
        assert 1 <= sum(one.phrase in FOREIGN for one in some) <= 2


def test_without_them_the_choice_is_as_before():
    plain, off = QuerySampler(phrases=5), QuerySampler(phrases=5, foreign=FOREIGN, foreign_fraction=0.0)
    image = image_with("a", "b")
    assert drawn(plain, image, list("abcdef"), 50) == drawn(off, image, list("abcdef"), 50)
