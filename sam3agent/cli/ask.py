"""`sam3agent ask`."""

from collections.abc import Mapping
from typing import Any

from sam3agent.api import Agent
from sam3agent.cli.command_start import STARTED
from sam3agent.cli.screen import Status, configure_logging, output_folder, say_answer, say_json
from sam3agent.config import load_settings


def run_ask(image: str, query: str, flags: Mapping[str, Any], *, as_json: bool, verbose: bool) -> int:
    """Ask, write the files, print the answer; returns the exit code: 1 if no reply could be used, 2 if the
    question was not understood.
    """
    configure_logging(verbose)
    settings = load_settings(flags)
    status = Status(quiet=as_json, verbose=verbose)
    agent = Agent.from_settings(settings)
    if settings.backend == "rules":
        status.tell("no MLLM configured: using the built-in rules (see --mllm, --base-url)")
    try:
        with output_folder(settings.out, image) as folder:
            answer = agent.ask(image, query, out=folder, tell=status.tell, started=STARTED)
    finally:
        status.done()
    if as_json:
        say_json(answer.to_json())
    else:
        say_answer(answer)
    return 2 if answer.status == "not_understood" else int(answer.failed)
