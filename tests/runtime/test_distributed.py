"""Real processes that talk over gloo give what one gives: every objective, and whole steps with micro-batches."""

import sys
from pathlib import Path

import pytest
import torch
from built_ins import GLOBAL, OBJECTIVES, PAIRINGS, toy_of
from crops import Crops, two_sizes
from faulty_objectives import BatchNormed, CentreOfOwnRows
from torch import distributed, multiprocessing

from vlobjectives import Objective, Term, joint
from vlobjectives.data.collate import Fields
from vlobjectives.data.loader import Layout, MicroBatches, micro_batches
from vlobjectives.functional import symmetric_info_nce
from vlobjectives.runtime.distributed import join
from vlobjectives.testing import Toy
from vlobjectives.testing.check import same, same_gradients
from vlobjectives.testing.processes import Case, broken, cases
from vlobjectives.training.optimizer import Optimizer
from vlobjectives.training.trainer import Trainer

MIX = {
    "itc": {},
    "itm": {"negatives": "hard", "scheme": "matched_plus_wrong"},
    "mlm": {"mask": "noisy_words"},
    "mgsc": GLOBAL,
    "mltc": OBJECTIVES["mltc"],
}


class Local(Objective):
    """Compares the rows of its own process and does not gather: fails the check for `group: all`."""

    def views(self, inputs):
        return {"image": joint(inputs["image"]), "text": joint(inputs["text"])}

    def forward(self, image, text, batch):
        return {"it": Term(symmetric_info_nce(image.pooled, text.pooled, 0.1).sum(), batch.size)}


@pytest.mark.slow
def test_two_processes_of_32_rows_are_one_of_64():
    """Every built-in with `group: all` and `group: 16`, all of them together, one on crops of another size, and three
    that fail the check."""
    tried = [case for form in OBJECTIVES for case in cases(*toy_of(form))]
    whole = Toy(objectives=MIX, pairings={key: {**entry, "group": 16} for key, entry in PAIRINGS.items()}, rows=64)
    crops = cases(Toy(**two_sizes(objectives={"crops": {}}, components={"objective:crops": Crops})), "crops")
    faults = {"local": Local, "own_centre": CentreOfOwnRows, "normed": BatchNormed}
    bad = [
        Case(Toy(objectives={name: {"group": "all"}}, components={f"objective:{name}": cls}, rows=64), name)
        for name, cls in faults.items()
    ]
    found = broken([*tried, *crops, Case(whole.grouped("itc", "all"), "itc"), *bad])
    assert [*found] == [f"{name} with group: all" for name in faults]
    for why, words in zip(
        found.values(), ("local/it differs by", "buffer 'centre' differs over", "normed/it differs by")
    ):
        assert words in why


class Double(Fields):
    def normalised(self, batch):
        return super().normalised(batch).map(lambda x: x.double() if x.is_floating_point() else x)


def step(rank: int, ranks: int, micro: int) -> dict:
    """One step of the trainer on 32 rows: its terms, and the gradients that the optimiser got."""
    toy = Toy(
        objectives={key: {**entry, "group": 8} for key, entry in MIX.items()},
        rows=32,
        pairings={"hard": {"type": "hard_negatives", "group": 8}},
        data={"pictures": 24},
    )
    pieces, system, layout = toy.data_module, toy.system(), Layout(32, micro, ranks, rank)
    fields = Double(**vars(pieces.fields))
    trainer = Trainer(system, Optimizer(system, toy.recipe.optim, 4), fields, layout, torch.device("cpu"))
    data = MicroBatches(pieces.source, fields, "train", layout, toy.seed)
    metrics = trainer.step(0, micro_batches(data, 0, layout.micro_steps, 0, False))
    return {
        "loss": torch.tensor(metrics["loss"], dtype=torch.float64),
        "terms": {
            key: torch.tensor([term["value"], term["count"]], dtype=torch.float64)
            for key, term in metrics["terms"].items()
        },
        "gradients": {key: p.grad for key, p in system.named_parameters() if p.grad is not None},
        "weights": dict(system.named_parameters()),
    }


def process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2)
    torch.save(step(rank, 2, 8), Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def whole():
    return step(0, 1, 32)


def check(found: dict, wanted: dict) -> None:
    same(found["loss"], wanted["loss"], "the loss")
    assert found["terms"].keys() == wanted["terms"].keys()
    for key, value in found["terms"].items():
        same(value, wanted["terms"][key], key)
    same_gradients(found["gradients"], wanted["gradients"])


def test_four_micro_batches_are_one_step(whole):
    check(step(0, 1, 8), whole)


def test_what_cannot_be_counted_beforehand_is_brought_to_the_device_once(monkeypatch):
    brought = []
    monkeypatch.setattr(
        Double,
        "normalised",
        lambda fields, batch: (
            brought.append(batch)
            or Fields.normalised(fields, batch).map(lambda x: x.double() if x.is_floating_point() else x)
        ),
    )
    monkeypatch.setattr(sys.modules[__name__], "MIX", {"itc": {}})
    step(0, 1, 8)
    assert len(brought) == 4


def test_two_processes_of_two_micro_batches_are_one_step(whole, tmp_path):
    multiprocessing.start_processes(process, (str(tmp_path),), nprocs=2, start_method="fork")
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in (0, 1)]
    check(found[0], whole)
    for key, value in found[0]["weights"].items():
        assert torch.equal(value, found[1]["weights"][key]), f"{key} drifts apart between the processes"


def test_a_process_alone_takes_its_gpu_too(monkeypatch):
    """What names no device (pinned memory, compiled kernels) would else be on the first one."""
    taken = []
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    for device in ("cpu", "cuda:1"):
        join(torch.device(device))
    assert taken == [torch.device("cuda:1")]
