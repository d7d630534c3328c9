"""What a run has to work with: device, precision, processes; and how the machine says that something ran out."""

import ctypes
import errno
import os
import signal
import sys

import torch

from vlobjectives.errors import ResourceError

KINDS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def device_of(asked: str, local_rank: int = 0) -> torch.device:
    """`auto` is a GPU where there is one; each process takes its own."""
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "cpu"
    if asked.startswith("cuda"):
        if not torch.cuda.is_available():
            raise ResourceError(f"run.device is {asked}, and torch sees no GPU", "set run.device=cpu or auto")
        device = torch.device(asked if ":" in asked else f"cuda:{local_rank}")
        if device.index >= torch.cuda.device_count():
            raise ResourceError(
                f"there is no {device}: torch sees {torch.cuda.device_count()} GPU(s)",
                "one process a GPU: lower --nproc, or set run.device=cpu",
            )
        return device
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


def autocast_of(device_type: str, precision: str) -> tuple[str, torch.dtype] | None:
    """What passes of a precision are cast to on a kind of device; None where they run in float32."""
    return (device_type, KINDS[precision]) if precision in KINDS else None


def die_with_parent(parent: int | None = None) -> None:
    """Lets the kernel end this process when its parent dies, even by kill -9 (Linux; elsewhere nothing happens).

    parent  its process id, if it may have died already
    """
    if sys.platform != "linux":
        return
    parent, on_parents_death = parent or os.getppid(), 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(on_parents_death, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the device or on the host."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in str(error) or "out of memory" in str(error))
    )


def worker_died(error: BaseException) -> bool:
    """Whether an error says that a loader worker is gone; torch raises it from a signal's handler, anywhere."""
    return isinstance(error, RuntimeError) and "DataLoader worker" in str(error)


def disk_full(error: BaseException) -> bool:
    """Whether an error says that a file cannot grow: a full disk, a quota, a limit on file sizes."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def peak_memory(device: torch.device) -> int:
    """Bytes: the device's peak, on the CPU this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
