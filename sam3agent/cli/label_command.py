"""The command `label` with its flags; `sam3agent.cli.label` runs it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sam3agent.cli.flags import (
    ApiKey,
    Backend,
    BaseUrl,
    Device,
    Dtype,
    MaxCalls,
    MaxSeconds,
    MaxSegmenterCalls,
    Model,
    Timeout,
    Verbose,
    Weights,
    folder_path,
    given_settings,
)

CLASSES, DATA_SET, MACHINES = "What to label", "The data set", "Workers"


def _class(help_text: str, **more: Any) -> Any:
    return typer.Option(help=help_text, rich_help_panel=CLASSES, **more)


def _written(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=DATA_SET, **more)


def _worker(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=MACHINES, **more)


Sources = Annotated[
    list[str] | None,
    typer.Argument(
        help="Images, folders, patterns, clips, a COCO file (.json), lists (.txt, .csv, .tsv, .parquet) or WebDataset "
        "archives (.tar).",
        metavar="SOURCE...",
    ),
]
Phrases = Annotated[
    list[str] | None,
    _class("A class: all instances of a short noun phrase; repeatable, or several with commas.", metavar="TEXT"),
]
Queries = Annotated[
    list[str] | None,
    _class("A class: what answers a question, found by the agent in each image; repeatable.", metavar="TEXT"),
]
MinScore = Annotated[float, _class("Minimum mask score, between 0 and 1.")]
Exclusive = Annotated[
    bool,
    typer.Option(
        "--exclusive",
        help="Give an object that several classes claim to the one with the highest score, instead of to all.",
        rich_help_panel=CLASSES,
    ),
]
Every = Annotated[int, _class("Of a clip, label every n-th frame only.", min=1)]
LabelOut = Annotated[
    Path | None, _written("--out", help="Folder of the data set; required.", metavar="DIR", parser=folder_path)
]
LabelFormats = Annotated[
    list[str] | None,
    _written(
        "--format",
        metavar="FORMAT",
        help="Also write yolo-seg, labelme, label-studio or png; repeatable. coco is always written.",
    ),
]
Split = Annotated[
    str | None,
    _written(
        help="Splits with their fractions, such as train=0.9,val=0.1; an image keeps its split when others are added.",
        metavar="TEXT",
        show_default="train=1",
    ),
]
Review = Annotated[
    bool, _written("--review", help="Draw contact sheets of the images with the lowest scores, the worst first.")
]
ImagesAs = Annotated[
    str,
    _written(
        "--images",
        metavar="MODE",
        help="How images get into the folder: link, copy or none. Frames, URLs and archives are copied.",
    ),
]
WorkerCount = Annotated[
    str, _worker("--workers", metavar="N", help="Processes of this machine, or ray or ray://HOST:PORT for a cluster.")
]
Actors = Annotated[
    int | None,
    _worker(
        help="Number of workers with Ray.", min=1, show_default="one per GPU of the cluster, or per core without GPUs"
    ),
]
SummaryAsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object about the run on stdout, and nothing else.")
]
Concurrency = Annotated[int, _worker(help="Maximum number of MLLM calls at once, over all workers.", min=1)]


def label(
    context: typer.Context,
    sources: Sources = None,
    phrase: Phrases = None,
    query: Queries = None,
    min_score: MinScore = 0.5,
    exclusive: Exclusive = False,
    every: Every = 1,
    out: LabelOut = None,
    formats: LabelFormats = None,
    split: Split = None,
    review: Review = False,
    images: ImagesAs = "link",
    workers: WorkerCount = "1",
    actors: Actors = None,
    concurrency: Concurrency = 8,
    weights: Weights = None,
    mllm: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    as_json: SummaryAsJson = False,
    max_calls: MaxCalls = None,
    max_segmenter_calls: MaxSegmenterCalls = None,
    max_seconds: MaxSeconds = None,
    timeout: Timeout = None,
    device: Device = None,
    dtype: Dtype = None,
    verbose: Verbose = False,
) -> None:
    """Label many images: a data set whose classes are phrases, ready for training.

    Writes annotations/instances_SPLIT.json (COCO, masks as RLE), links to the images, and a journal in shards. After an
    interruption, the same command goes on; images that failed are tried again. With other --format, --split or
    --review, it writes the files anew from the journal, without labelling again.

    Train on the folder with: python -m train experiment=finetune data.root=DIR
    """
    from sam3agent.cli.label import LabelFlags, run_label

    flags = LabelFlags(
        sources=tuple(sources or ()),
        phrases=tuple(phrase or ()),
        queries=tuple(query or ()),
        min_score=min_score,
        exclusive=exclusive,
        every=every,
        out=out,
        formats=tuple(formats or ()),
        split=split,
        review=review,
        images=images,
        workers=workers,
        actors=actors,
        concurrency=concurrency,
    )
    settings = {name: value for name, value in given_settings(context).items() if name != "out"}
    code = run_label(flags, settings, as_json=as_json, verbose=verbose)
    if code:
        raise typer.Exit(code)
