"""Real runs of a tiny recipe, each in a process of its own that can be killed.

Processes are forked from the test's, which has imported everything, since importing takes longer than these runs.
The test's process itself computes nothing.
"""

import functools
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from vlobjectives.data.data_module import build_data
from vlobjectives.errors import VlobjError
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.runs import evaluate_run, train_run
from vlobjectives.runtime.log import Log
from vlobjectives.system import assemble, checkpoint

RECIPE = """
seed: 3
plugins: []
data: {type: scenes, image_size: 32, samples: 48, val: 16, test: 16, test_new: 0, batch: 8}
fields:
  caption: {type: byte_pair, size: 300, length: 16}
model:
  vision: {type: timm_vision, patch: 8, width: 32, depth: 1, heads: 2}
  text:
    type: hf_text
    config: {model_type: roberta-prelayernorm, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2,
             intermediate_size: 64, hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1}
  joint: {type: projection, width: 32, temperature: 0.07}
  words: {type: vocabulary_head, of: text, tied: true}
  fusion: {type: co_attention, width: 32, depth: 1, heads: 2, dropout: 0.1}
masks:
  noisy_words: {type: random_tokens, ratio: 0.3, fill: bert}
pairings:
  others: {type: random_negatives, group: 4}
objectives:
  itc: {}
  mlm: {mask: noisy_words}
  itm: {negatives: others, weight: [[4, 0], [5, 1]]}
optim: {lr: 1e-3, clip: 1.0, groups: [{match: "model.joint.temperature", lr: 0.1}]}
run: {steps: 14, device: cpu, precision: fp32, checkpoint: {steps: 2, keep: 2}}
evaluate: {losses: true}
"""
"""48 samples are 6 steps an epoch; matching begins at step 5; dropout is on everywhere."""


def recipe(folder: Path, plugin: str = "", objective: str = "") -> Path:
    """The tiny recipe as a file, with a local plug-in's source and one more objective where they are given."""
    path = folder / "tiny.yaml"
    _imported()
    text = RECIPE
    if plugin:
        (folder / "mine.py").write_text(plugin, encoding="utf-8")
        text = text.replace("plugins: []", "plugins: [mine.py]")
    path.write_text(text.replace("objectives:\n", f"objectives:\n  {objective}\n") if objective else text, "utf-8")
    return path


@functools.cache
def _imported() -> None:
    """Imports what the recipe names by building it once, without numbers."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(RECIPE)
        file.flush()
        tiny = resolve(load(file.name), Registry())
    with torch.device("meta"):
        assemble.system(tiny, build_data(tiny))


@dataclass
class Child:
    """A process of ours, and where its output goes."""

    pid: int
    said: Path
    status: int | None = None

    def running(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status is None

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = 120) -> int:
        """The exit code, a signal's as a negative number; an AssertionError with the output if it does not end."""
        end = time.monotonic() + seconds
        while self.running():
            if time.monotonic() > end:
                self.kill()
                os.waitpid(self.pid, 0)
                raise AssertionError(f"still running after {seconds} s:\n{self.text}")
            time.sleep(0.005)
        return os.waitstatus_to_exitcode(self.status)

    @property
    def text(self) -> str:
        return self.said.read_text(errors="replace", encoding="utf-8") if self.said.exists() else ""


def forked(said: Path, work: Callable[[], int | None], env: Mapping[str, str] | None = None) -> Child:
    """Calls `work` in a new process; its answer is the exit code, its output goes to the file `said`."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Child(pid, said)
    code = 99
    try:
        handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
        os.environ.update(env or {})
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests may run under nohup, which children would keep ignoring
        torch.set_num_threads(1)
        code = work() or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(
    path: Path,
    out: Path,
    *overrides: str,
    accept: bool = False,
    env: Mapping[str, str] | None = None,
    more: int | None = None,
) -> Child:
    """Starts a run, or goes on with the one in `out`; a VlobjError is its exit code, as on the command line.

    more  bytes of address space that the process may take beyond what it has
    """

    def work() -> int:
        try:
            limited(more)
            resolved = resolve(load(path, overrides), Registry())
            train_run.run(resolved, out, Log(), (out / "recipe.yaml").exists(), accept)
        except VlobjError as error:
            print(error, file=sys.stderr)
            return error.code
        return 0

    rank = (env or {}).get("RANK", "0")
    return forked(out.with_name(f"{out.name}.{rank}.txt"), work, env)


def evaluated(run: Path, *overrides: str, more: int | None = None) -> Child:
    """Starts `vlobj eval` on a run."""

    def work() -> int:
        try:
            limited(more)
            evaluate_run.evaluate(str(run), overrides, (), Registry(), Log()).refuse()
        except VlobjError as error:
            print(error, file=sys.stderr)
            return error.code
        return 0

    return forked(run.with_name(f"{run.name}.eval.txt"), work)


def limited(more: int | None) -> None:
    """Gives this process no more address space than it has, and `more` bytes."""
    if more is not None:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)


def processes(
    path: Path, out: Path, port: int, count: int, *overrides: str, more: Sequence[int | None] = ()
) -> list[Child]:
    """The same run by several processes, started as torchrun starts them; `more` of each as of `run`."""
    return [
        run(
            path,
            out,
            *overrides,
            env={
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(count),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            },
            more=more[rank] if more else None,
        )
        for rank in range(count)
    ]


def lines(out: Path) -> list[dict]:
    """metrics.jsonl so far; a line that is being written is left out."""
    path = out / "metrics.jsonl"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def until(true: Callable[[], object], child: Child, seconds: float = 60) -> None:
    """Waits for something that a running child does."""
    end = time.monotonic() + seconds
    while not true():
        assert child.running() and time.monotonic() < end, child.text
        time.sleep(0.002)


def stream(out: Path) -> list[dict]:
    """What training computed, step by step: everything in metrics.jsonl but times and memory."""
    return [{key: row[key] for key in ("step", "loss", "terms", "gradient_norm", "rate")} for row in lines(out)]


def weights(out: Path) -> dict[str, torch.Tensor]:
    """Those of the newest whole checkpoint."""
    return load_file(checkpoint.newest(out / "checkpoints")[0].folder / checkpoint.MODEL)


def same_weights(one: Path, other: Path) -> None:
    """Bit by bit."""
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
