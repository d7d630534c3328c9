"""The memory of a step: storages, fake against real, and what recomputing saves."""

import gc

import pytest
import torch
from planned import THIN, recipe
from torch import nn
from torch.profiler import ProfilerActivity, profile

from vlobjectives.costs import fake
from vlobjectives.costs.memory import Storages
from vlobjectives.costs.meter import Meter
from vlobjectives.costs.shape_check import build, specs
from vlobjectives.data.data_module import build_data
from vlobjectives.system import assemble

ALL = ("itc", "itm", "mlm", "mgsc", "mltc")
LAST = 999
SMALL = (*THIN, "data.batch=8", "run.steps=1000")


def real(overrides=()):
    """The same system with numbers, weights of AdamW aside, and a batch."""
    it = recipe("glscl", *SMALL, *overrides)
    made = build_data(it)
    return assemble.system(it, made).train(), fake.fake_batch(specs(made), it.recipe.data.batch)


def test_storages_counts_a_storage_once_and_lets_it_go():
    seen = Storages()
    a, b = torch.empty(1000), torch.empty(500)
    for tensor in (a, a[10:], a.view(10, 100), b):
        seen.see(tensor, "me")
    assert (seen.now, seen.peak, seen.maker(a[3:])) == (6000, 6000, "me")
    del tensor, a
    gc.collect()
    assert (seen.now, seen.peak) == (2000, 6000) and seen.at_peak == {"me": 6000}
    seen.see(torch.empty(2000), "you")
    assert seen.peak == 10000 and seen.at_peak == {"me": 2000, "you": 8000} and seen.alive == {"me": 2000}


def test_saved_tensors_are_held_until_the_backward_pass():
    seen = Storages()
    x = torch.ones(1000, requires_grad=True)
    y = x.exp()
    seen.see(y, "exp")
    total = y.sum()
    del y
    assert seen.now == 4000
    total.backward()
    assert seen.now == 0


def allocated(system, batch, names) -> int:
    """The most that torch's allocator held beyond the start of a step, from its own record of every malloc and free."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        system(batch, LAST, names=names).total.backward()
    now = peak = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


@pytest.mark.parametrize("names", [ALL, ("itc",), ("itm", "mlm")])
def test_agrees_with_what_the_allocator_recorded_of_a_real_step(names):
    memory = build(recipe("glscl", *SMALL)).step(names, LAST).memory
    system, batch = real()
    there = sum(p.numel() * p.element_size() for p in (*system.parameters(), *system.buffers()))
    text = batch["text"]
    tensors = (batch["image"], batch.number, batch.same, text.ids, text.valid, text.special, text.segment)
    rows = sum(t.numel() * t.element_size() for t in tensors)
    counted = memory.peak - memory.parts["optimiser"]
    assert counted == pytest.approx(there + rows + allocated(system, batch, names), rel=0.2)
    assert memory.parts["optimiser"] == 2 * sum(p.numel() * 4 for p in system.parameters() if p.requires_grad)


def test_the_parts_of_the_peak_are_the_peak():
    memory = build(recipe("glscl", *SMALL)).step(ALL, LAST).memory
    assert sum(memory.parts.values()) == memory.peak
    system, _ = real()
    tensors = (*system.parameters(), *system.buffers())
    assert memory.parts["weights"] == sum(t.numel() * t.element_size() for t in tensors)
    assert 0 < max(memory.passes.values()) < memory.parts["activations"]
    assert memory.passes[""] <= 8 * (len(ALL) + 3)  # the sum of the terms; no term's value is held on to for nobody


def test_gradients_of_earlier_micro_batches_are_there():
    once = build(recipe("glscl", *SMALL)).step(ALL, LAST).memory
    more = build(recipe("glscl", *SMALL, "data.batch=16", "data.micro_batch=8")).step(ALL, LAST).memory
    assert more.parts["gradients"] == pytest.approx(more.parts["weights"], rel=0.01) and once.parts["gradients"] == 0
    assert once.peak < more.peak <= once.peak + more.parts["gradients"]


def test_checkpointing_by_part_gives_the_same_gradients():
    grads = []
    for parts in ("[]", "[vision, fusion]"):
        system, batch = real((f"plan.checkpoint={parts}", "model.fusion.dropout=0.1"))
        system(batch, LAST, names=ALL).total.backward()
        grads.append({name: p.grad for name, p in system.named_parameters() if p.grad is not None})
    kept, again = grads
    assert kept.keys() == again.keys() and len(kept) > 100
    largest = max(g.abs().max() for g in kept.values())
    assert all((kept[name] - again[name]).abs().max() <= 1e-6 * largest for name in kept)


def test_checkpointing_by_part_lowers_the_peak():
    plain, again = (
        build(recipe("glscl", *SMALL, f"plan.checkpoint={parts}")).step(ALL, LAST)
        for parts in ("[]", "[vision, fusion]")
    )
    assert again.memory.peak < 0.6 * plain.memory.peak
    assert again.forward == plain.forward
    rerun = sum(flops for name, flops in plain.forward.items() if name.startswith(("vision(", "fusion(")))
    assert again.backward == plain.backward + rerun
    system, batch = real(("plan.checkpoint=[vision, fusion]",))
    whole, _ = real()
    assert allocated(system, batch, ALL) < 0.7 * allocated(whole, batch, ALL)


@pytest.mark.slow
def test_checkpointing_is_counted_for_a_gpu_too():
    """What is recomputed must go through the same attention, or the backward pass would find other tensors."""
    gpu = (*THIN, "data.batch=64", "run.precision=bf16", "run.device=cuda")
    plain, again = (
        build(recipe("glscl", *gpu, f"plan.checkpoint={parts}")).step(("itm", "mlm"), LAST)
        for parts in ("[]", "[vision, fusion]")
    )
    assert again.memory.peak < 0.7 * plain.memory.peak and again.backward > plain.backward


def test_attention_on_a_gpu_keeps_no_weights():
    q = torch.empty(1, 2, 64, 8, requires_grad=True)

    def kept() -> int:
        with Meter() as meter:
            out = nn.functional.scaled_dot_product_attention(q, q, q, dropout_p=0.1).sum()
            return meter.memory.now if out.requires_grad else 0

    weights, plain = 2 * 64 * 64 * 4, kept()
    with fake.as_on_gpu():
        assert kept() < weights < plain
