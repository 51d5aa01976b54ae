"""One step: a batch in chunks, clipped gradients, and the average of the weights."""

import pytest
import torch
from torch import nn

from sam3model.data.dataset import CachedTokenizer
from sam3model.data.playground_source import PlaygroundSource
from sam3model.data.queries import collate, split
from sam3model.errors import ConfigError
from sam3model.text import Tokenizer
from sam3model.training.ema import Ema
from sam3model.training.run_settings import OptimConfig
from sam3model.training.step import clip_gradients, train_step
from tests.training.conftest import concept_run

SCENES = PlaygroundSource("train", size=64, phrases=3, mask_stride=4)


def batch_of(*numbers: int):
    return collate([SCENES(number) for number in numbers], CachedTokenizer(Tokenizer(16)))


@pytest.fixture
def gradient(settings):
    """A function that returns the loss and all gradients of a batch, computed in chunks."""
    run = concept_run(settings(loss={"scale_by_find_batch_size": False}))
    still = torch.optim.SGD(run.model.parameters(), lr=0.0)

    def of(batch, chunks: int) -> tuple[float, torch.Tensor]:
        outcome = train_step(run.network, run.task, still, batch, OptimConfig(clip=None, accumulate=chunks))
        assert outcome.bad is None
        given = [torch.zeros_like(value) if value.grad is None else value.grad for value in run.model.parameters()]
        return outcome.loss, torch.cat([value.flatten() for value in given])

    return of


def test_gradients_of_chunks_are_averaged(gradient):
    (loss, whole), (first, of_first), (second, of_second) = (
        gradient(batch_of(1, 2), 2), gradient(batch_of(1), 1), gradient(batch_of(2), 1),
    )  # fmt: skip
    assert loss == pytest.approx((first + second) / 2)
    torch.testing.assert_close(whole, (of_first + of_second) / 2, rtol=1e-4, atol=1e-5)
    assert first != second


def test_equal_chunks_have_the_gradient_of_the_whole_batch(gradient):
    (in_one, at_once), (in_two, cut) = gradient(batch_of(3, 3), 1), gradient(batch_of(3, 3), 2)
    assert in_two == pytest.approx(in_one, rel=1e-5)
    torch.testing.assert_close(cut, at_once, rtol=1e-3, atol=1e-3 * at_once.abs().max().item())


def test_no_image_is_lost_between_chunks():
    batch = batch_of(1, 2, 3)
    assert [name for chunk in split(batch, 3) for name in chunk.names] == list(batch.names)
    for chunks in (2, 4):
        with pytest.raises(ConfigError, match=rf"^optim\.accumulate: 3 images cannot be split into {chunks} equal"):
            split(batch, chunks)


@pytest.mark.parametrize(("limit", "after"), [(None, 5.0), (7.0, 5.0), (0.5, 0.5)])
def test_gradients_are_clipped_together_and_the_norm_before_is_returned(limit, after):
    net = nn.ModuleList([nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False), nn.Linear(1, 1)])
    net[0].weight.grad, net[1].weight.grad = torch.tensor([[3.0]]), torch.tensor([[-4.0]])
    assert clip_gradients(net, limit) == pytest.approx(5)
    clipped = torch.tensor([net[0].weight.grad.item(), net[1].weight.grad.item()])
    torch.testing.assert_close(clipped, torch.tensor([0.6, -0.8]) * after, rtol=1e-4, atol=0)


@pytest.mark.parametrize("every", [1, 2])
def test_the_average_forgets_its_first_steps_and_then_decays(every):
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 8.0)
    average, expected = Ema(net, 0.5, every), 8.0
    for step in range(1, 21):
        nn.init.constant_(net.weight, float(step))
        average.update(net, step)
        if step % every == 0:
            kept = min(0.5, (1 + step) / (10 + step)) ** every  # 2/11, 3/12, …, then 1/2
            expected = kept * expected + (1 - kept) * step
        with average.applied_to(net) as lent:
            assert lent.weight.item() == pytest.approx(expected, rel=1e-5)
        assert net.weight.item() == step
