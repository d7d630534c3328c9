"""The gather, in real processes that talk over gloo."""

from datetime import timedelta

import pytest
import torch
from arrays import close, golden, leaf
from torch import Tensor, distributed, multiprocessing

from vlobjectives.functional import (
    all_gather_with_grad,
    gather_tokens,
    l2_normalize,
    mask_to_indices,
    symmetric_info_nce,
)

ROWS, WIDTH = 3, 4


@pytest.fixture(scope="module", params=[2, 3])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What each of two and of three processes found; forked, since importing torch takes seconds."""
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.start_processes(_process, (request.param, str(folder)), nprocs=request.param, start_method="fork")
    return [torch.load(folder / f"{rank}.pt") for rank in range(request.param)]


def _process(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", f"file://{folder}/store", rank=rank, world_size=world, timeout=timedelta(seconds=60)
    )
    works = [exact, published] if world == 2 else [exact, kinds]
    torch.save({work.__name__: work(rank) for work in works}, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def batch(rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, captions [ROWS, WIDTH] and which rows are valid, of one process."""
    g = torch.Generator().manual_seed(rank)
    x, y = torch.randn(2, ROWS, WIDTH, dtype=torch.float64, generator=g)
    return x, y, torch.tensor([True, True, rank == 0])


def weights() -> list[Tensor]:
    """A picture tower, a caption tower and a temperature."""
    g = torch.Generator().manual_seed(100)
    towers = torch.randn(2, WIDTH, 5, dtype=torch.float64, generator=g)
    return [leaf(towers[0]), leaf(towers[1]), leaf(torch.tensor(0.1, dtype=torch.float64))]


def system(x: Tensor, y: Tensor, valid: Tensor, w: list[Tensor], every) -> list[tuple[Tensor, Tensor]]:
    """Terms (total, count): contrast over all rows, completion of the valid ones, one without gather."""
    p, t = l2_normalize(x @ w[0]), l2_normalize(y @ w[1])
    contrast = symmetric_info_nce(every(p), every(t), w[2])
    completed = symmetric_info_nce(every(p), every(t).detach(), 0.3, every(valid))
    return [
        (contrast.sum(), torch.tensor(float(contrast.numel()), dtype=torch.float64)),
        (completed.sum(), every(valid).sum().double()),
        ((p - t).square().sum(), torch.tensor(float(x.shape[0]), dtype=torch.float64)),
    ]


# ---- work of one process


def exact(rank: int) -> dict:
    w = weights()
    terms = system(*batch(rank), w, all_gather_with_grad)
    counts = torch.stack([count for _, count in terms])
    distributed.all_reduce(counts)
    loss = sum(total / count for (total, _), count in zip(terms, counts, strict=True))
    loss.backward()
    return {"loss": loss.detach(), "grads": [x.grad for x in w]}


def published(rank: int) -> dict:
    z = golden("gather_0")
    tau = z["in_temperature"]
    names = ("pred_image_cls", "target_image_cls", "pred_text", "target_text", "pred_image_tokens")
    image, image_target, text, text_target, tokens = (leaf(z[f"in_{name}_r{rank}"]) for name in names)

    def every(x: Tensor) -> Tensor:
        return all_gather_with_grad(x, "published")

    def local(p: Tensor, t: Tensor, mask: Tensor, shared: bool) -> Tensor:
        index, ok = mask_to_indices(mask, mask.shape[1])
        rows = [l2_normalize(gather_tokens(p, index)), l2_normalize(gather_tokens(t.detach(), index)), ok]
        p, t, ok = (x.flatten(0, 1) for x in (map(every, rows) if shared else rows))
        return symmetric_info_nce(p, t, tau, ok).sum() / ok.sum()

    terms = {
        "global_image": symmetric_info_nce(
            every(l2_normalize(image)), every(l2_normalize(image_target.detach())), tau
        ).mean(),
        "global_text": symmetric_info_nce(
            l2_normalize(text[:, 0]), l2_normalize(text_target[:, 0].detach()), tau
        ).mean(),
        "local_image": local(tokens, z[f"in_target_image_tokens_r{rank}"], z[f"in_image_mask_r{rank}"], False),
        "local_text": local(text, text_target, z[f"in_text_mask_r{rank}"], True),
    }
    weight = z["in_local_weight"]
    loss = sum(value * (weight if key.startswith("local") else 1) for key, value in terms.items())
    loss.backward()
    captions, pictures = leaf(z[f"in_itc_text_r{rank}"]), leaf(z[f"in_itc_image_r{rank}"])
    itc = (
        z["in_itc_weight"]
        * symmetric_info_nce(
            every(l2_normalize(captions)), every(l2_normalize(pictures)), z["in_itc_temperature"]
        ).mean()
    )
    itc.backward()
    return {
        **{f"out_loss_{key}": value.detach() for key, value in terms.items()},
        "out_loss": loss.detach(),
        "out_grad_pred_image_cls": image.grad,
        "out_grad_pred_text": text.grad,
        "out_grad_pred_image_tokens": tokens.grad,
        "out_itc_loss": itc.detach(),
        "out_itc_grad_text": captions.grad,
        "out_itc_grad_image": pictures.grad,
    }


def _laid_out(x: Tensor, rank: int) -> Tensor:
    """The same values in another order in memory on each process: what is sent must not depend on it."""
    return x if rank == 0 else x.T.contiguous().T


def kinds(rank: int) -> dict:
    """Everything but losses: types, shapes, groups."""
    several = {
        "bool": torch.tensor([[True, False], [rank == 1, True]]),
        "int": torch.arange(2) + 10 * rank,
        "half": torch.full((1, 2), rank + 0.5, dtype=torch.bfloat16),
        "strided": _laid_out(torch.arange(6.0).reshape(3, 2) + 10 * rank, rank),
        "strided_bool": _laid_out(torch.arange(6).reshape(3, 2) < 2, rank),
    }
    found = {name: all_gather_with_grad(x) for name, x in several.items()}
    assert not any(x.requires_grad for x in found.values())
    outer = distributed.new_group([0, 2])
    if rank != 1:
        x = leaf(torch.tensor([[float(rank)]]))
        found["group"] = all_gather_with_grad(x, group=outer)
        (found["group"] * torch.tensor([[1.0], [10.0]]) * (rank + 1)).sum().backward()
        found["group"], found["group_grad"] = found["group"].detach(), x.grad
    # A sum hands the same gradient to both sides: reducing it in place would change the other side's, which
    # is computed later, being older.
    x, y = leaf(torch.ones(1, 1)), leaf(torch.ones(3, 1))
    older = y * 3
    ((all_gather_with_grad(x) + older) * torch.tensor([[1.0], [10.0], [100.0]])).sum().backward()
    found["gathered"], found["older"] = x.grad, y.grad
    return found


# ---- tests


def test_processes_equal_one_process_on_the_joined_batch(found: list[dict]) -> None:
    w = weights()
    joined = [torch.cat(parts) for parts in zip(*map(batch, range(len(found))), strict=True)]
    loss = sum(total / count for total, count in system(*joined, w, lambda x: x))
    loss.backward()
    torch.testing.assert_close(sum(each["exact"]["loss"] for each in found), loss.detach(), rtol=0, atol=1e-12)
    for summed, x in zip(zip(*(each["exact"]["grads"] for each in found), strict=True), w, strict=True):
        torch.testing.assert_close(sum(summed), x.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("found", [2], indirect=True)
def test_published_gather(found: list[dict]) -> None:
    """Values and gradients of the published code on two processes, before the average over them."""
    z = golden("gather_0")
    for rank, each in enumerate(found):
        for name, value in each["published"].items():
            close(value, z[f"{name}_r{rank}"])


@pytest.mark.parametrize("found", [3], indirect=True)
def test_types_groups_and_shared_gradients(found: list[dict]) -> None:
    for rank, each in enumerate(each["kinds"] for each in found):
        first, second, other = [True, False], [False, True], [True, True]
        assert each["bool"].tolist() == [first, second, first, other, first, second]
        assert each["int"].tolist() == [0, 1, 10, 11, 20, 21]
        assert each["half"].dtype == torch.bfloat16 and each["half"][:, 0].tolist() == [0.5, 1.5, 2.5]
        assert each["strided"].tolist() == [
            [2.0 * i + 10 * r, 2.0 * i + 10 * r + 1] for r in range(3) for i in range(3)
        ]
        assert each["strided_bool"].tolist() == [[True, True], [False, False], [False, False]] * 3
        assert each["gathered"].tolist() == [[3.0 * 10**rank]]
        assert each["older"].tolist() == [[3.0], [30.0], [300.0]]
        if rank != 1:
            assert each["group"].tolist() == [[0.0], [2.0]]
            assert each["group_grad"].tolist() == [[4.0 if rank == 0 else 40.0]]  # (0 + 1) + (2 + 1) of 1 or 10


def test_alone_it_is_the_tensor_itself() -> None:
    x = torch.ones(2, 2)
    assert all_gather_with_grad(x) is x and all_gather_with_grad(x, "published") is x


def test_other_gradients_are_refused() -> None:
    with pytest.raises(ValueError, match="exact or published, not 'half'"):
        all_gather_with_grad(torch.ones(1), "half")
