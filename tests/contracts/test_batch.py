"""Batch is a plain class: torch's loader, copies, pickles and accelerate leave it whole or move it as it says."""

import copy
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, default_collate, default_convert
from torch.utils.data._utils.pin_memory import pin_memory

from vlobjectives import Batch, Labels, Tokens


def batch(first: int = 0, rows: int = 3, cls: type[Batch] = Batch) -> Batch:
    ids = torch.arange(rows * 4).reshape(rows, 4) + first
    real = torch.ones(rows, 4, dtype=torch.bool)
    number = torch.arange(rows) + first
    boxes = {"boxes": torch.randn(rows, 2, 4)}
    values = {
        "image": torch.randn(rows, 3, 4, 4),
        "text": Tokens(ids, real, ~real, ids * 0, boxes),
        "tags": Labels(ids, real, ids.float()),
    }
    return cls(number, number.clone(), values, "mine")


def leaves(x: Batch) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    x.map(lambda y: found.append(y) or y)
    return found


def same(one: Batch, other: Batch) -> bool:
    pairs = zip(leaves(one), leaves(other), strict=True)
    return type(one) is type(other) and one.source == other.source and all(torch.equal(x, y) for x, y in pairs)


class Stream(IterableDataset):
    """Two batches, made in the loader's worker."""

    def __iter__(self) -> Iterator[Batch]:
        torch.manual_seed(0)
        return iter([batch(), batch(10)])


def test_names_rows_and_no_more_of_a_mapping() -> None:
    given = batch()
    assert given["image"] is given.values["image"] and "text" in given and "caption" not in given
    assert given.size == 3 and given.rows(slice(1, 3)).number.tolist() == [1, 2]
    assert given.to("cpu")["text"].beside["boxes"].shape == (3, 2, 4)
    assert not isinstance(given, Mapping | Sequence | Iterable)
    for taken in (list, len, dict):
        with pytest.raises(TypeError):
            taken(given)
    with pytest.raises(KeyError, match="caption"):
        given["caption"]


def test_copies_and_pickles_are_whole() -> None:
    given = batch()
    for other in (copy.deepcopy(given), pickle.loads(pickle.dumps(given))):
        assert same(other, given) and other.number is not given.number
    assert copy.copy(given).values is given.values


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_gives_batches_as_they_were_made(workers: int) -> None:
    wanted = list(Stream())
    found = list(DataLoader(Stream(), batch_size=None, num_workers=workers))
    assert len(found) == 2 and all(map(same, found, wanted))
    assert default_convert(wanted[0]) is wanted[0]
    with pytest.raises(TypeError, match="Batch"):  # and are not put together to something else
        default_collate(wanted)


def test_a_loader_makes_batches_of_samples() -> None:
    def put_together(rows: list[int]) -> Batch:
        number = torch.tensor(rows)
        return Batch(number, number, {"image": number.float()})

    found = list(DataLoader(range(4), batch_size=2, collate_fn=put_together))
    assert [x["image"].tolist() for x in found] == [[0, 1], [2, 3]]


def test_the_loader_pins_by_the_batch_s_own_method() -> None:
    class Pinned(Batch):
        def pin_memory(self) -> "Pinned":
            return Pinned(self.number, self.same, self.values, "pinned")

    found = pin_memory(batch(cls=Pinned))
    assert type(found) is Pinned and found.source == "pinned"


def test_accelerate_moves_it_and_takes_nothing_apart() -> None:
    operations = pytest.importorskip("accelerate.utils.operations")
    given = batch()
    assert same(operations.send_to_device(given, "cpu"), given)
    assert {x.device.type for x in leaves(operations.send_to_device(given, "meta"))} == {"meta"}
    moved = operations.send_to_device([given, {"x": given}], "meta")
    assert type(moved[0]) is Batch and moved[1]["x"].number.device.type == "meta"
    assert operations.recursively_apply(lambda x: x + 1, given) is given
