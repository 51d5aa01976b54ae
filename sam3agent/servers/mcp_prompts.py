"""Prompts of the MCP server: ready-made requests that a person picks from a menu."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

if TYPE_CHECKING:
    from mcp.server import MCPServer

Image = Annotated[str, Field(description="Path of the image or clip.")]


def find(image: Image, what: Annotated[str, Field(description='What to find: "leftmost player in white".')]) -> str:
    """Find something in an image, and say where it is."""
    return (
        f"Find this in {image}: {what}. Use the tool ask. Tell me what was found and where, name the file with the "
        "masks, and read the warnings: if the answer is uncertain or nothing matches, say so."
    )


def count(image: Image, what: Annotated[str, Field(description='What to count: "people".')]) -> str:
    """Count things in an image, and check the count."""
    return (
        f"Count the {what} in {image}. Find them with segment_phrase, then look at the masks with examine_masks, a few "
        "at a time. Leave out masks that show something else, or the same object twice. Tell me the number, and which "
        "masks you left out and why; then call select_masks with those that count."
    )


def label_folder(
    folder: Annotated[str, Field(description="Path of a folder with images.")],
    phrases: Annotated[str, Field(description='Short noun phrases, separated by commas: "car, pedestrian".')],
) -> str:
    """Label all images of a folder with phrases."""
    return (
        f"Label the images in the folder {folder} with these phrases: {phrases}. For each image, call segment_phrase "
        "with all phrases at once, look at doubtful masks with examine_masks, and call select_masks with those that "
        "are right; it writes them to a COCO file. At the end, make a table with the image, the number of masks of "
        "each phrase, and the file; list the images that you are unsure about."
    )


def compare_two_images(
    first: Annotated[str, Field(description="Path of the first image.")],
    second: Annotated[str, Field(description="Path of the second image.")],
    what: Annotated[str, Field(description='What to compare: "boats".')],
) -> str:
    """Compare what two images show."""
    return (
        f"Compare the {what} in {first} and in {second}. Find them in both with segment_phrase and measure them with "
        "measure_masks. Tell me what is only in one of them, and what differs in number, place, size or colour."
    )


def add_prompts(server: "MCPServer") -> None:
    """Register all prompts."""
    from mcp.server.mcpserver.prompts import Prompt

    for prompt in (find, count, label_folder, compare_two_images):
        server.add_prompt(Prompt.from_function(prompt, title=prompt.__name__.replace("_", " ").capitalize()))
