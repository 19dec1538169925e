"""Mixed precision: bfloat16 where the device has it in hardware, float32 elsewhere."""

from __future__ import annotations

from typing import Any

import torch


def find_dtype(device: torch.device) -> torch.dtype:
    """Return the type that matrix products are computed in on ``device``."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # absent from older releases
    return torch.bfloat16 if capabilities.get("avx512_bf16") else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return a context in which matrix products are computed as ``dtype``; float32 leaves them alone."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)
