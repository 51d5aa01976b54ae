"""A simulated MLLM's mind: what it perceives and decides about one question, whatever loop asks it.

Everything is drawn by `luck(seed, question, what is looked at, …)`, so two policies meet the same luck: the same object
is misjudged in the same kind of look, the same first phrase comes to mind, the same count goes wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals.simulated.luck import luck
from evals.simulated.mask_cover import Cover
from evals.simulated.mllm_phrases import next_phrases, wrong_phrase
from evals.simulated.mllm_skill import Skill
from evals.simulated.phrase_words import ANYTHING, understand
from evals.simulated.plan_answer import NEAREST, Slips, Thing, describe, objects_of, plan_answer
from evals.simulated.scene_questions import SceneQuestion
from sam3agent.pool import Verdict
from sam3agent.rules.question_plan import Target
from sam3model.playground import SceneObject
from sam3model.playground.descriptions import Description

CLOSE = 0.25
"""By how much less striking a thing may seem than the best one, 0..1, and still be named beside it."""
Believed = dict[int, list[Thing]]
"""By the number of each target, the things taken for it."""


@dataclass(frozen=True)
class ShownMask:
    """A mask on display. phrase: what found it, if the text says so; verdict: what is written about it."""

    number: int
    cover: Cover
    phrase: str | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Wish:
    """What is wanted next: masks as the answer (numbers), another search (`search`), or the word that nothing fits."""

    numbers: tuple[int, ...] = ()
    search: bool = False


@dataclass
class Mind:
    """One question as one MLLM sees it."""

    case: SceneQuestion
    skill: Skill
    seed: int = 0

    def dice(self, *key: object) -> float:
        """A uniform number for this question."""
        return luck(self.seed, self.case.key, *key)

    def misjudges(self, chance: float, cover: Cover, *look: object) -> bool:
        """Whether an object is misjudged in a look; `chance` is that of judging rightly."""
        thing = (cover.id, cover.whole)
        always = self.dice("always?", thing) < self.skill.shared
        return (self.dice("error", thing) if always else self.dice("error", thing, *look)) >= chance

    # Close looks

    def close_verdict(self, cover: Cover, phrase: str, view: str = "close") -> Verdict:
        """The verdict on one candidate by itself: does it show one whole `phrase` that may matter to the question?

        A second look is a new draw only if it differs (`view`); the same look twice says the same twice. Phrases that
        say where something is, or how many, are judged as the whole question is: what the thing is, seen rightly or
        not, and then what is asked of it.
        """
        wrong = self.misjudges(self.skill.verdict, cover, view)
        _, extra = understand(phrase)
        if extra and not ANYTHING & set(extra) and cover.id >= 0:
            return "accept" if self._answers_as_seen(cover, wrong, view) else "reject"
        return "accept" if self._names(phrase, cover) != wrong else "reject"

    def _answers_as_seen(self, cover: Cover, wrong: bool, view: str) -> bool:
        """Whether a candidate answers the whole question, as one sees it who may misjudge it and slip in reasoning."""
        shown, plan = self.case.scene.objects[cover.id], self.case.plan
        thing = Thing(shown.id, shown.box, shown.area)
        whole = {n: objects_of(self.case.scene, target) for n, target in enumerate(plan.targets)}
        for n, target in enumerate(plan.targets):
            fits = (cover.whole and describe(target).matches(shown)) != wrong
            others = {**{k: [] for k in whole}, n: [t for t in whole[n] if t.id != shown.id] + [thing]}
            placed = shown.id in {t.id for t in self.answer(others, Slips(), view)}
            plain = not (self.case.charms or target.sides or target.relation or target.ranking or target.exceptions)
            always = self.dice("always?", "reason", shown.id) < self.skill.shared
            slips = (self.dice("reason") if always else self.dice("reason", shown.id, view)) >= self.skill.reason
            if fits and (plain or placed != slips):
                return True
        return False

    def _object(self, cover: Cover) -> SceneObject | None:
        return self.case.scene.objects[cover.id] if cover.id >= 0 else None

    def _names(self, phrase: str, cover: Cover) -> bool:
        """Whether a mask truly shows, whole, what its phrase names and what can matter to the question."""
        shown, described = self._object(cover), self._means(phrase)
        if shown is None or not cover.whole or not described:
            return False
        relevant = {describe(target).kind for target in self.case.all_targets()}
        return any(what.matches(shown) for what in described) and shown.kind in relevant

    def _means(self, phrase: str) -> tuple[Description, ...]:
        """What a phrase names; one with words of place or order is read as the question's own noun phrase."""
        described, extra = understand(phrase)
        if extra and not ANYTHING & set(extra):
            return tuple(describe(target) for target in self.case.plan.targets)
        return described

    # Phrases

    def phrases(self, used: int, tried: Sequence[str], *, twice: bool = False) -> list[str]:
        """Phrases for the next search, after `used` searches. twice: it was asked for a more general one, too."""
        right = sum(self.dice("phrase", k) < self.skill.phrase for k in range(used))
        if self.dice("phrase", used) >= self.skill.phrase:
            dice = self.dice("wrong", used), self.dice("wrong noun", used)
            wrong = wrong_phrase(self.case, *dice, first=used == 0)
            if wrong not in tried:
                return [wrong]
        return next_phrases(self.case, right, tried, twice=twice) or [f"thing number {used + 1}"]

    # Choosing

    def choose(self, shown: Sequence[ShownMask], used: int, discarded: frozenset[int] = frozenset()) -> Wish:
        """What to do with the masks on display, after so many searches. discarded: ids of objects once rejected."""
        targets = dict(enumerate(self.case.plan.targets))
        believed = {n: self.believed(target, shown, used) for n, target in targets.items()}
        missing = {n: self.missing(target, believed[n], shown, discarded) for n, target in targets.items()}
        steps = 1 if self.dice("reason") >= self.skill.reason else 0
        slips = Slips(self.dice("absent anchor") < self.skill.sees_absence, steps)
        whole = self.answer({n: believed[n] + missing[n] for n in targets}, slips)
        whole = self._slipped(whole, steps, believed)
        if whole and used < self.skill.attempts and any(thing.number is None for thing in whole):
            return Wish(search=True)
        numbers = _numbers(whole)
        if not numbers and whole:
            numbers = _numbers(self.answer(believed, slips))
        return Wish(numbers) if numbers else self.give_up(used)

    def give_up(self, used: int) -> Wish:
        """Nothing fits: say so, or search again."""
        seen = self.skill.sees_absence
        sees_none = self.dice("absent", used) < (1 - seen if self.case.truth else seen)
        return Wish(search=used < self.skill.attempts and not sees_none)

    def answer(self, believed: Mapping[int, Sequence[Thing]], slips: Slips, look: str = "glance") -> list[Thing]:
        """What the question makes of the things believed to fit each target."""
        things = plan_answer(self.case.scene, self.case.plan, believed, slips)
        return self.best_first(things, look)[:1] if self.case.charms else things

    def charm(self, thing: int, look: str) -> float:
        """How striking a thing seems. Of two that are drawn, the right one is taken about as often as the skill says.

        As with looks, part of the mistakes come again at every look.
        """
        chance = self.skill.verdict if look == "compared" else self.skill.at_glance(1)
        always = self.dice("always?", "charm", thing) < self.skill.shared
        noise = self.dice("charm", thing) if always else self.dice("charm", thing, look)
        return self.case.charms[thing] + 2 * (1 - chance) * (2 * noise - 1)

    def best_first(self, things: Sequence[Thing], look: str) -> list[Thing]:
        """Things in the order of how striking they seem."""
        return sorted(things, key=lambda thing: -self.charm(thing.id, look))

    def rivals(self, things: Sequence[Thing]) -> list[Thing]:
        """The most striking thing, as it seems at a glance, and those that come close to it."""
        order = self.best_first(things, "glance")
        return [t for t in order if self.charm(order[0].id, "glance") - self.charm(t.id, "glance") < CLOSE]

    def believed(self, target: Target, shown: Sequence[ShownMask], used: int) -> list[Thing]:
        """The masks on display that are taken for a target."""
        what = describe(target)
        taken = [m for m in shown if self._takes_for(what, m, len(shown), used)]
        return [Thing(m.cover.id, m.cover.box, m.cover.area, m.number) for m in taken]

    def _takes_for(self, what: Description, m: ShownMask, count: int, used: int) -> bool:
        """Whether a mask on display is taken for what a target names."""
        shown = self._object(m.cover)
        if shown is None:
            return False
        true = m.cover.whole and what.matches(shown)
        found_for = self._means(m.phrase) if m.phrase else ()
        if found_for and all(named.kind != what.kind for named in found_for):
            return true
        glance = true != self.glances_wrong(m.cover, count, used)
        believes = self.dice("trust", m.cover.id, m.cover.whole) < self.skill.trust
        if m.verdict == "reject":
            return glance and not believes
        if m.verdict == "accept" and any(_implies(named, what) for named in found_for) and not glance:
            return believes
        return glance

    def glances_wrong(self, cover: Cover, count: int, *look: object) -> bool:
        """Whether a mask among `count` in a numbered image is misjudged."""
        return self.misjudges(self.skill.at_glance(count), cover, "glance", *look)

    def notices(self, thing: int, *look: object) -> float:
        """The draw that decides whether a thing without a mask is noticed; part of what is overlooked always is."""
        always = not look or self.dice("overlooked?", thing) < self.skill.shared
        return self.dice("notice", thing) if always else self.dice("notice", thing, *look)

    def missing(
        self, target: Target, believed: Sequence[Thing], shown: Sequence[ShownMask], discarded: frozenset[int]
    ) -> list[Thing]:
        """True things without a mask of their own, as far as they are noticed."""
        have = {thing.id for thing in believed} | {m.cover.id for m in shown if m.cover.whole}
        doubt = 1 - self.skill.trust * 0.5
        return [
            thing
            for thing in objects_of(self.case.scene, target)
            if thing.id not in have
            and self.notices(thing.id) < self.skill.notice * (doubt if thing.id in discarded else 1)
        ]

    def _slipped(self, whole: list[Thing], steps: int, believed: Believed) -> list[Thing]:
        """A slip in reasoning about sets: one is left out, or one too many; and something where nothing is right."""
        if not steps:
            return whole
        targets = self.case.plan.targets
        ordered = any(t.ranking or (t.relation and t.relation.kind in NEAREST) for t in targets)
        bounded = any(t.sides or t.relation or t.exceptions for t in targets)
        taken = [thing for things in believed.values() for thing in things]
        if not whole and (ordered or bounded) and taken:
            return taken[-1:]
        if ordered or not bounded:
            return whole
        others = [thing for thing in taken if thing.id not in {t.id for t in whole}]
        if others and self.dice("slip") < 0.5:
            return whole + others[:1]
        return whole[:-1] if len(whole) > 1 else others[:1] or whole


def _numbers(things: Sequence[Thing]) -> tuple[int, ...]:
    return tuple(sorted({thing.number for thing in things if thing.number is not None}))


def _implies(narrow: Description, wide: Description) -> bool:
    """Whether whatever fits the one description fits the other."""
    return narrow.kind == wide.kind and all(
        getattr(wide, name) in ("", getattr(narrow, name)) for name in ("colour", "pattern", "size")
    )
