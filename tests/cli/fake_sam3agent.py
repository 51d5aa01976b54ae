"""The command line over a known world in place of weights: `python -m tests.cli.fake_sam3agent ask …`."""

from sam3agent import api
from sam3agent.cli import main
from tests.agent.world import World

api.make_segmenter = lambda settings: World()

if __name__ == "__main__":
    main()
