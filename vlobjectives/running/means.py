"""What a run has to work with: device, precision, threads."""

import torch

from vlobjectives.errors import MeansError

KINDS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def device_of(asked: str, local_rank: int = 0) -> torch.device:
    """`auto` is a GPU where there is one; each process takes its own."""
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "cpu"
    if asked.startswith("cuda"):
        if not torch.cuda.is_available():
            raise MeansError(f"run.device is {asked}, and torch sees no GPU", "set run.device=cpu or auto")
        return torch.device(asked if ":" in asked else f"cuda:{local_rank}")
    return torch.device(asked)


def native_bf16(device: torch.device) -> bool:
    """Whether products in bf16 run natively there."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def precision_of(asked: str, device: torch.device) -> tuple[str, str]:
    """The precision of the passes, and why in words for the log."""
    if asked != "auto":
        return asked, "as the recipe says"
    if native_bf16(device):
        return "bf16", f"native on this {'GPU' if device.type == 'cuda' else 'CPU'}"
    return "fp32", "this device has no native bf16; with it the run would be about three times faster"
