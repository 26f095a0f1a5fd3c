"""What a base computes in: how the settings name it, and torch's type for that."""

from __future__ import annotations

from typing import Any

from bunny.core.error import UserError

AUTO = "auto"
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def has_bf16(device: str) -> bool:
    """Whether a device is a GPU with bf16 in hardware; few CPUs are faster in 16 bits."""
    import torch

    return device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)


def resolve(precision: str, device: str) -> str:
    """Name what ``auto`` stands for: bf16 where `has_bf16`, else fp32; others as they are.

    Raises
    ------
    UserError
        If it is neither ``auto`` nor a key of `DTYPES`.
    """
    if precision == AUTO:
        return "bf16" if has_bf16(device) else "fp32"
    if precision not in DTYPES:
        known = ", ".join((AUTO, *DTYPES))
        raise UserError(f"models.precision: expected one of {known}, got {precision}")
    return precision


def dtype_of(precision: str, device: str) -> Any:
    """torch's type of a precision, see `resolve`."""
    import torch

    return getattr(torch, DTYPES[resolve(precision, device)])
