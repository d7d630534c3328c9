"""What one GPU makes of the library: speed, share of its peak, memory beside the plan's, a kill, NCCL.

    python benchmarks/gpu.py [--steps 50] [--device cuda] [--small ""] [--json FILE]

Models have random weights, batches are striped stand-ins that lie on the device, so nothing but the step is timed; all
objectives are live, a step is one micro-batch. The share of the peak (MFU) is the plan's FLOPs, forward and backward,
what is recomputed left out, over what a large bf16 product reaches in the same run. Then a run is killed (kill -9) and
gone on with, and one process joins NCCL. At most eight minutes on one GPU; `--small yes --device cpu` shows in a minute
without any that the script works.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import paired
import torch

from vlobjectives.contracts.batch import Batch
from vlobjectives.costs import fake
from vlobjectives.costs.measure import measure
from vlobjectives.costs.shape_check import specs
from vlobjectives.data.data_module import build_data
from vlobjectives.data.loader import Layout, LoadedBatch
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system import assemble
from vlobjectives.training.optimizer import Optimizer
from vlobjectives.training.trainer import Trainer

RANDOM = ("model.vision.weights=null", "model.text.weights=null")
CASES = {
    "glscl": ((), "[vision, fusion]"),
    "glscl_base": (RANDOM, "[vision, fusion]"),
    "sycoca_base": ((), "[vision, text, captioner]"),
}
"""Recipe -> what it needs to begin with random weights, and the parts whose activations may be computed again."""
WAYS = {
    "eager": (False, False),
    "compiled": (True, False),
    "eager, checkpointed": (False, True),
    "compiled, checkpointed": (True, True),
}
WARM, SMALL_ROWS = 3, 4


class Same:
    """Stand-in batches are normalised as they are."""

    @staticmethod
    def normalised(batch: Batch) -> Batch:
        return batch


def matrix_rate(device: torch.device, small: bool) -> float:
    """Floating-point operations a second of one large bf16 product: the median of twenty."""
    side = 512 if small else 8192
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(25):
        begun = time.perf_counter()
        a @ b
        wait(device)
        seconds.append(time.perf_counter() - begun)
    return 2 * side**3 / sorted(seconds[5:])[10]


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def case(name: str, compiled: bool, checkpointed: bool, asked: Any, rate: float) -> dict[str, Any]:
    """One row: a recipe in one way."""
    needs, parts = CASES[name]
    rows = SMALL_ROWS if asked.small else load(name, needs).recipe.data.rows(1)
    again = (f"plan.checkpoint={parts}",) if checkpointed else ()
    changes = (
        *needs,
        f"data.batch={rows}",
        f"data.micro_batch={rows}",
        f"run.device={asked.device}",
        *again,
        "run.precision=bf16",
    )
    registry, device = Registry(), torch.device(asked.device)
    resolved = resolve(load(name, changes), registry)
    recipe = resolved.recipe
    whole = measure(resolve(load(name, [c for c in changes if c not in again]), registry)).full
    planned = measure(resolved).full.memory.peak if checkpointed else whole.memory.peak
    made = build_data(resolved, described=True)
    system = assemble.system(resolved, made).to(device).train()
    system.autocast = (device.type, torch.bfloat16)
    if compiled:
        for part in system.model.values():
            part.compile()
    trainer = Trainer(system, Optimizer(system, recipe.optim, recipe.run.steps), Same(), Layout(rows, rows), device)
    batches = repeat(LoadedBatch(fake.fake_batch(specs(made), rows).to(device), (), ()))
    last = recipe.run.steps - 1
    begun = time.perf_counter()
    for _ in range(WARM):
        trainer.step(last, batches)
    wait(device)
    start = time.perf_counter() - begun
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    begun = time.perf_counter()
    for _ in range(asked.steps):
        loss = trainer.step(last, batches)["loss"]
    wait(device)
    seconds = (time.perf_counter() - begun) / asked.steps
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {
        "recipe": name,
        "way": way_of(compiled, checkpointed),
        "rows": rows,
        "samples/s": rows / seconds,
        "MFU": (whole.forward + whole.backward) / seconds / rate,
        "peak GB": peak and peak / 2**30,
        "planned GB": planned / 2**30,
        "first steps s": start,
        "loss": loss,
    }


def way_of(compiled: bool, checkpointed: bool) -> str:
    return next(way for way, flags in WAYS.items() if flags == (compiled, checkpointed))


def metrics(folder: Path) -> dict[int, float]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return {line["step"]: line["loss"] for line in map(json.loads, lines)}


def command(asked: Any, folder: Path) -> list[str]:
    small = (
        ("--tiny", "run.steps=12", "run.checkpoint.steps=4")
        if asked.small
        else (
            "run.steps=60",
            "run.checkpoint.steps=20",
            "data.samples=2048",
            "data.val=16",
            "data.test=16",
            "data.test_new=0",
        )
    )
    return ["run", "glscl", f"run.device={asked.device}", "evaluate.losses=false", *small, "--out", str(folder)]


def killed(asked: Any, folder: Path) -> str:
    """A run is killed after its first checkpoint and gone on with; how the losses of both compare."""
    vlobj = [sys.executable, "-m", "vlobjectives"]
    child = subprocess.Popen([*vlobj, *command(asked, folder)], stdout=subprocess.DEVNULL)
    while child.poll() is None and not any((folder / "checkpoints").glob("step-*/manifest.json")):
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(signal.SIGKILL)
    child.wait()
    before = metrics(folder)
    subprocess.run([*vlobj, "run", str(folder)], check=True, stdout=subprocess.DEVNULL)
    after = metrics(folder)
    apart = max(abs(after[step] - loss) for step, loss in before.items())
    return f"killed after step {len(before)}, gone on to step {len(after)}; losses of both apart by {apart:.2g}"


def joined(asked: Any, folder: Path) -> str:
    """One process under torchrun joins a group of one: NCCL on a GPU."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1", "-m"]
    begun = time.perf_counter()
    subprocess.run(
        [*launch, "vlobjectives", *command(asked, folder)],
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"NCCL_DEBUG": "WARN"},
    )
    return f"one process under torchrun: {len(metrics(folder))} steps, {time.perf_counter() - begun:.0f} s"


def rows_of(asked: Any, rate: float) -> Iterator[dict[str, Any]]:
    for name in CASES:
        for compiled, checkpointed in WAYS.values():
            if asked.small and name != "glscl":
                continue
            yield case(name, compiled, checkpointed, asked, rate)
            if asked.device == "cuda":
                torch.cuda.empty_cache()


def shown(row: dict[str, Any]) -> dict[str, str]:
    return {
        key: "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
        for key, value in row.items()
    }


def main() -> None:
    asked = paired.options(
        __doc__,
        steps=(50, "steps that are timed"),
        device=("cuda", "cuda or cpu"),
        small=("", "anything: few rows of the small recipe alone"),
    )
    if asked.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no GPU here; --device cpu --small yes shows that the script works")
    device = torch.device(asked.device)
    rate = matrix_rate(device, asked.small)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    found = list(rows_of(asked, rate))
    with tempfile.TemporaryDirectory() as folder:
        said = [killed(asked, Path(folder) / "killed"), joined(asked, Path(folder) / "joined")]
    paired.show(
        f"{where}, torch {torch.__version__}, {rate / 1e12:.1f} TFLOP/s in a bf16 product; {asked.steps} steps",
        [shown(row) for row in found],
        asked.json,
        measured=found,
        runs=said,
    )
    print("\n".join(said))


if __name__ == "__main__":
    main()
