"""Ask a question about an image in plain words and get masks back, with the evidence.

    from sam3agent import ask

    answer = ask("match.png", "leftmost player in white")
    answer.status                       # "answered", "no_match", "not_understood" or "exhausted"
    for mask in answer.masks:
        print(mask.id, mask.box, mask.score, mask.mask.shape)   # mask.mask: (H, W) bool
    answer.overlay().save("overlay.png")

`Agent` keeps the weights between questions. Imports are lazy: `import sam3agent` loads no torch and no MLLM client.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sam3agent.api import Agent, Answer, ask
    from sam3agent.config import Settings

__all__ = ["Agent", "Answer", "Settings", "ask"]


def __getattr__(name: str) -> Any:
    if name in ("Agent", "Answer", "ask"):
        from sam3agent import api

        return getattr(api, name)
    if name == "Settings":
        from sam3agent.config import Settings

        return Settings
    raise AttributeError(f"module 'sam3agent' has no attribute {name!r}")
