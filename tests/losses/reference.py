"""Reads the reference cases of tests/goldens: inputs, values and gradients of the official losses and matchers."""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file

from sam3model.losses import Matches, Targets

GOLDENS = Path(__file__).parents[1] / "goldens"


@cache
def loss_cases() -> dict:
    return json.loads((GOLDENS / "losses.json").read_text())["cases"]


@cache
def tensors() -> dict[str, torch.Tensor]:
    return load_file(GOLDENS / "losses.safetensors")


@cache
def matcher_cases() -> dict:
    return json.loads((GOLDENS / "matcher.json").read_text())["cases"]


def names(prefix: str) -> list[str]:
    return [name for name in loss_cases() if name.startswith(prefix)]


def value(entry):
    return tensors()[entry].clone() if isinstance(entry, str) and entry in tensors() else entry


@dataclass
class Case:
    """One case of losses.json; tensors with a stored gradient are leaves that require one."""

    name: str
    params: dict
    expected: dict
    grads: dict
    inputs: dict

    @classmethod
    def load(cls, name: str) -> "Case":
        raw = loss_cases()[name]
        sources = raw.get("inputs_from") or []
        inputs = dict(raw["inputs"])
        for source in [sources] if isinstance(sources, str) else sources:
            inputs |= {
                (f"{source}:{k}" if isinstance(sources, list) else k): v
                for k, v in loss_cases()[source]["inputs"].items()
            }
        inputs = {k: value(v) for k, v in inputs.items()}
        for of in raw.get("grads", {}).values():
            for key in of:
                inputs[key].requires_grad_(True)
        return cls(name, raw["params"], {k: value(v) for k, v in raw["expected"].items()}, raw.get("grads", {}), inputs)

    def __getitem__(self, key: str):
        return self.inputs.get(key)

    def targets(self, prefix: str = "") -> Targets:
        get = lambda key: self.inputs.get(f"{prefix}target.{key}")  # noqa: E731
        return Targets(
            boxes=get("boxes"), num_boxes=get("num_boxes"), object_ids=get("object_ids_packed"),
            is_exhaustive=get("is_exhaustive"), masks=get("masks"), is_valid_mask=get("is_valid_mask"),
            semantic_masks=get("semantic_masks"),
        )  # fmt: skip

    def matches(self, prefix: str = "") -> Matches:
        prompt, query, target = (self.inputs.get(f"{prefix}indices.{key}") for key in ("batch", "query", "target"))
        return Matches(prompt, query, torch.arange(len(prompt)) if target is None else target)

    def check(self, name: str, got: torch.Tensor, rtol: float = 1e-5) -> None:
        expected = self.expected[name]
        expected = expected if isinstance(expected, torch.Tensor) else torch.tensor(float(expected))
        torch.testing.assert_close(got.detach().float(), expected, rtol=rtol, atol=1e-6, msg=lambda m: f"{name}: {m}")

    def check_terms(self, terms) -> None:
        """Compare every stored number; a loss that we do not compute must be stored as 0."""
        got = {"core_loss": terms.total, **terms.losses, **terms.metrics}
        for name in self.expected:
            self.check(name, got[name] if name in got else torch.zeros(()))

    def check_grads(self, of: str, got: torch.Tensor) -> None:
        """Compare the gradient of `got` with the stored ones, within 1e-4 of the largest entry."""
        leaves = self.grads[of]
        keys = list(leaves)
        if not got.requires_grad:
            assert all(stored is None or not value(stored).any() for stored in leaves.values())
            return
        gradients = torch.autograd.grad(got, [self.inputs[k] for k in keys], allow_unused=True)
        for key, gradient in zip(keys, gradients, strict=True):
            if leaves[key] is None:
                assert gradient is None or not gradient.any(), key
                continue
            expected = value(leaves[key])
            got_gradient = torch.zeros_like(expected) if gradient is None else gradient
            tolerance = 1e-4 * expected.abs().max().item() + 1e-12
            torch.testing.assert_close(got_gradient, expected, rtol=0, atol=tolerance, msg=lambda m, k=key: f"{k}: {m}")

    def check_finite_terms(self, terms) -> None:
        """Compare the stored numbers that are finite."""
        got = {**terms.losses, **terms.metrics}
        for name in self.expected:
            if name in got and math.isfinite(float(self.expected[name])):
                self.check(name, got[name])
