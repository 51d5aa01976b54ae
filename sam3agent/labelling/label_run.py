"""The coordinator: hands images to workers as they stream in, and writes what comes back into shards."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from sam3agent.labelling.crew import Crew, Outcome, Task
from sam3agent.labelling.label_items import LabelItem
from sam3agent.labelling.label_job import LabelJob
from sam3agent.labelling.shard_journals import Counts, OpenShard, ShardJournals
from sam3model.errors import Sam3Error

ATTEMPTS = 3
"""How often an image is tried: once with others in hand, then alone. After that, it is what its workers die of."""

LOSSES = 8
"""Number of workers that may be lost in a row, without one result in between, before the run is given up."""

Watch = Callable[[str, Mapping[str, Any]], None]
"""Called for each image: "done" with its record, "known" with how many of each status were done before, "lost" with
the source of an image whose worker was lost, "remark" with what to know about the weights."""


class LabelRun:
    """One run of a job over its images; mutable."""

    def __init__(self, job: LabelJob, hire: Callable[[], Crew], shards: ShardJournals, watch: Watch) -> None:
        """hire: starts the workers; called when there is an image to label."""
        self.job, self.shards, self.watch = job, shards, watch
        self._hire = hire
        self.counts: Counts = Counter()
        self.shard_count = 0
        self._open: dict[int, OpenShard] = {}
        self._again: list[Task] = []
        self._attempts: Counter[Task] = Counter()
        self._losses = 0
        self._remarks: set[str] = set()

    @cached_property
    def crew(self) -> Crew:
        """The workers."""
        return self._hire()

    def run(self, items: Iterable[LabelItem]) -> Counts:
        """Label all images; how they ended. Memory is bounded by the images in hand and the shards that are open.

        Raises what makes going on useless: weights that cannot be loaded, a server that cannot be reached, a disk that
        is full, workers that die at once.
        """
        for number, shard in enumerate(_batched(items, self.job.shard_size)):
            self.shard_count = number + 1
            if counts := self.shards.finished(number, shard):
                self.counts += counts
                self.watch("known", counts)
                continue
            self._fill(self.shards.open(number, shard))
        while self._open:
            self._submit_again()
            self._collect()
        return self.counts

    def close(self) -> None:
        """End the workers, and close the journals of shards that are not complete."""
        if "crew" in self.__dict__:
            self.crew.close()
        for shard in self._open.values():
            shard.journal.file.close()

    def _fill(self, shard: OpenShard) -> None:
        """Hand out what is left of a shard."""
        self._open[shard.number] = shard
        ready = (item for place, item in enumerate(shard.items) if place not in shard.left)
        known = Counter(record["status"] for item in ready if (record := shard.journal.latest(item.source)))
        if known:
            self.watch("known", known)
        for place in sorted(shard.left):
            self._submit_again()
            while not self.crew.submit((shard.number, place), shard.items[place]):
                self._collect()
        self._finish_if_complete(shard)

    def _submit_again(self) -> None:
        """Hand out what lost workers had in hand, each alone, before anything new."""
        while self._again:
            task = self._again[0]
            while not self.crew.submit(task, self._open[task[0]].items[task[1]], alone=True):
                self._collect()
            self._again.remove(task)

    def _collect(self) -> None:
        for outcome in self.crew.wait():
            self._settle(outcome)

    def _settle(self, outcome: Outcome) -> None:
        number, place = outcome.task
        shard, result = self._open[number], outcome.result
        if result is None:
            self._lose(shard, outcome.task)
            return
        if result.error is not None:
            raise result.error
        self._losses = 0
        for remark in result.remarks:
            if remark not in self._remarks:
                self._remarks.add(remark)
                self.watch("remark", {"text": remark})
        self._add(shard, place, result.record or {})

    def _lose(self, shard: OpenShard, task: Task) -> None:
        """An image whose worker was lost is done again; after several times, it has failed."""
        source = shard.items[task[1]].source
        self._attempts[task] += 1
        self._losses += 1
        self.watch("lost", {"source": source})
        if self._losses > LOSSES * self.crew.depth:
            raise Sam3Error("workers die before they label anything: with too little memory, try fewer --workers")
        if self._attempts[task] < ATTEMPTS:
            self._again.append(task)
            return
        reason = f"{source}: its worker died each of {ATTEMPTS} times that it was tried"
        self._add(shard, task[1], {"status": "failed", "name": shard.items[task[1]].name, "reason": reason})

    def _add(self, shard: OpenShard, place: int, record: Mapping[str, Any]) -> None:
        shard.add(place, record)
        self.watch("done", {"source": shard.items[place].source, **record})
        self._finish_if_complete(shard)

    def _finish_if_complete(self, shard: OpenShard) -> None:
        if not shard.left and self._open.pop(shard.number, None):
            self.counts += self.shards.finish(shard)


def _batched(items: Iterable[LabelItem], size: int) -> Iterator[list[LabelItem]]:
    stream = iter(items)
    while batch := list(itertools.islice(stream, size)):
        yield batch
