"""Choice of device and precision: what `auto` means, and what is refused."""

import pytest
import torch

from sam3model import devices
from sam3model.devices import has_native_bfloat16, resolve_device, resolve_dtype
from sam3model.errors import InputError

CPU = torch.device("cpu")
NATIVE_CHECKS = ("_is_amx_tile_supported", "_is_avx512_bf16_supported", "_is_arm_bf16_supported")


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: int, mps: bool) -> None:
    """A machine with this number of CUDA devices, with or without MPS."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(("cuda", "mps", "taken"), [(2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")])
def test_auto_takes_cuda_then_mps_then_cpu(monkeypatch, cuda, mps, taken):
    pretend(monkeypatch, cuda=cuda, mps=mps)
    assert resolve_device().type == resolve_device("auto").type == taken
    assert resolve_device("cpu") == CPU


def test_a_named_device_must_exist(monkeypatch):
    pretend(monkeypatch, cuda=2, mps=False)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    for name, says in (
        ("cuda:2", "has 2 CUDA device"),
        ("mps", "not available"),
        ("toaster", "unknown device"),
        ("", "unknown device"),
        ("xpu", "not available"),
    ):
        with pytest.raises(InputError, match=says):
            resolve_device(name)


@pytest.mark.parametrize("native", [None, *NATIVE_CHECKS])
def test_auto_is_bfloat16_on_cpus_with_hardware_support(monkeypatch, native):
    for check in NATIVE_CHECKS:
        monkeypatch.setattr(torch.cpu, check, lambda check=check: check == native, raising=False)
    assert has_native_bfloat16(CPU) is (native is not None)
    assert resolve_dtype("auto", CPU) is (torch.bfloat16 if native else torch.float32)


@pytest.mark.parametrize("native", [True, False])
def test_auto_on_cuda_ignores_emulated_bfloat16(monkeypatch, native):
    def supported(including_emulation: bool) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert resolve_dtype("auto", torch.device("cuda")) is (torch.bfloat16 if native else torch.float32)


def test_named_precisions():
    assert resolve_dtype("auto", torch.device("mps")) is torch.float32
    for name, dtype in devices.DTYPES.items():
        assert resolve_dtype(name, CPU) is dtype
    with pytest.raises(InputError, match="unknown dtype 'int4'"):
        resolve_dtype("int4", CPU)
