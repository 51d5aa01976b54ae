"""Choice of device and precision."""

import torch

from sam3model.errors import InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
INT8 = "int8"
"""Wide linear layers in int8, all else in bfloat16: see docs/precision.md."""


def resolve_device(name: str = "auto") -> torch.device:
    """The device called `name`; `auto` is CUDA if available, else Apple's MPS, else the CPU.

    Raises:
        InputError: the device is unknown or not available.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"unknown device {name!r}: use auto, cpu, cuda, cuda:N or mps") from error
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not here.get(device.type, False):
        raise InputError(f"device {name!r} is not available on this machine: use --device auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {name!r} does not exist: this machine has {torch.cuda.device_count()} CUDA device(s)")
    return device


def resolve_dtype(name: str, device: torch.device) -> torch.dtype:
    """The floating-point type called `name`; `auto` is bfloat16 if the device supports it in hardware, else float32.

    `int8` gives bfloat16, the type of all that is not an int8 layer; `sam3model.quantise` makes these layers.

    Raises:
        InputError: the type is unknown, or the device cannot compute in it.
    """
    if name == "auto":
        return torch.bfloat16 if has_native_bfloat16(device) else torch.float32
    if name == INT8:
        if device.type != "cpu":
            raise InputError(f"int8 is for processors, not for {device.type}: use --dtype bfloat16, or --device cpu")
        return torch.bfloat16
    if name not in DTYPES:
        raise InputError(f"unknown dtype {name!r}: use auto, {', '.join(DTYPES)}, {INT8}")
    return DTYPES[name]


def has_native_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware, which makes it faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and cpu_has("amx_tile", "avx512_bf16", "arm_bf16")


def cpu_has(*instructions: str) -> bool:
    """Whether the processor has one of these instruction sets, by torch's names: `amx_tile`, `avx512_bf16`, `vnni`."""
    checks = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in instructions)
    return any(check() for check in checks if check is not None)
