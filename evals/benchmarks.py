"""Every benchmark by name."""

from functools import partial

from evals.readers import playground
from evals.registry import AnyBenchmark, PhraseBenchmark, QuestionBenchmark
from evals.scorers.concepts import ConceptScorer
from evals.scorers.referring import PlaygroundScorer
from evals.video import BENCHMARKS as VIDEO
from sam3model.errors import ConfigError

PLAYGROUND = (
    PhraseBenchmark(
        name="playground",
        title="500 held-out Playground scenes, all their phrases",
        splits=playground.SPLITS,
        files=(),
        get="nothing to get: the scenes are drawn as they are needed",
        headline=("cgF1", "pmF1", "IL_MCC", "AP"),
        read=playground.read_phrases,
        scorer=partial(ConceptScorer, ap=True),
        threshold=0.02,
    ),
    QuestionBenchmark(
        name="playground-questions",
        title="200 held-out Playground questions to the agent",
        splits=playground.SPLITS,
        files=(),
        get="nothing to get: the scenes are drawn as they are needed",
        headline=("gIoU", "gIoU answerable", "no match reported", "cIoU"),
        read=playground.read_questions,
        scorer=PlaygroundScorer,
    ),
)

BENCHMARKS: dict[str, AnyBenchmark] = {b.name: b for b in (*PLAYGROUND, *VIDEO)}


def find(name: str) -> AnyBenchmark:
    """The benchmark of a name; raises `ConfigError` with the nearest one where there is none."""
    import difflib

    if name in BENCHMARKS:
        return BENCHMARKS[name]
    near = difflib.get_close_matches(name, BENCHMARKS, n=1)
    hint = f": did you mean {near[0]}?" if near else "; `python -m evals list` shows all"
    raise ConfigError(f"there is no benchmark {name!r}{hint}")
