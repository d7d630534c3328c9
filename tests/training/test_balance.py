"""Balancers in training: against the papers' formulas in float64, over micro-batches and processes, saved and restored;
and the comparison of gradients."""

import copy
import math

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from toy_training import CPU, over_processes, trainer

from vlobjectives import Balancer, BalancerConfig
from vlobjectives.data.loader import Layout, micro_batches
from vlobjectives.data.streams import training
from vlobjectives.errors import PluginError
from vlobjectives.functional import noise
from vlobjectives.plugin_loading.attribution import ContractError
from vlobjectives.recipe.model import Optim, ScheduleSection
from vlobjectives.system import checkpoint
from vlobjectives.testing import Toy
from vlobjectives.testing.check import same
from vlobjectives.training.balance import Balance

STEPS = 3
WHOLE, HALVES = Layout(8, 8), Layout(8, 4)
KINDS = {
    "uncertainty": {"form": "classification", "forms": {"mlm": "regression", "itm": "common"}},
    "gradnorm": {"alpha": 0.7, "lr": 0.05, "on": ["text"]},
    "pcgrad": {"on": ["text", "vision.*"]},
}
WEIGHTS = {"itc": 1.0, "itm": 0.5, "mlm": 2.0}
OPTIM = Optim(lr=0.02, eps=1e-2, clip=None, schedule=ScheduleSection(then="constant"))
"""A large epsilon: AdamW else divides what rounding leaves of a gradient near 0 by itself."""


def toy_of(balance=None, weights=WEIGHTS, components=None):
    """Three objectives that see groups of four rows, so that a batch and its halves are the same."""
    toy = Toy(
        objectives={
            "itc": {"group": 4, "weight": weights["itc"]},
            "itm": {"negatives": "others", "weight": weights.get("itm", 1.0)},
            "mlm": {"mask": "noisy_words", "weight": weights["mlm"]},
        },
        pairings={"others": {"type": "random_negatives", "group": 4}},
        balance=balance or {},
        components=components or {},
    )
    if "itm" not in weights:  # contrast over all rows that processes pass together
        toy = toy.changed(objectives={"itc": {"weight": weights["itc"]}, "mlm": toy.objectives["mlm"]})
    toy.__dict__["recipe"] = toy.recipe.model_copy(update={"optim": OPTIM})
    return toy


def batches_of(toy, layout, first=0):
    each = layout.micro_steps
    return micro_batches(training(toy.data_module.feeds, layout, toy.seed), first * each, STEPS * each, 0, False)


def trained(toy, layout=WHOLE, compared=(), of=None):
    """Metrics of every step, and all weights and buffers behind the last."""
    of = of or trainer(toy, layout)
    of.updater.compared = compared
    of.updater.balance = Balance(of.system, CPU, compared)
    batches = batches_of(toy, layout)
    rows = [of.step(step, batches) for step in range(STEPS)]
    timed = ("seconds", "samples_per_second", "waiting")
    rows = [{key: value for key, value in row.items() if key not in timed} for row in rows]
    return {"rows": rows, "state": {name: value.clone() for name, value in of.system.state_dict().items()}}


def alike(found, wanted):
    """Equal to rounding: values, weights, norms and all that was learned."""
    for name, value in wanted["state"].items():
        same(found["state"][name], value, name)
    for one, other in zip(found["rows"], wanted["rows"], strict=True):
        _alike(one, other)


def _alike(one, other, place=""):
    if isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one.keys() - {"count"}:
            _alike(one[key], other[key], f"{place}.{key}")
    else:
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12), place


# ---- the papers' formulas: whole batches, one process, autograd's own way


class Reference:
    """A loop of one's own: the losses by name, AdamW over all that it is given."""

    def __init__(self):
        toy = toy_of()
        self.system = toy.system(train=True)
        self.names = list(WEIGHTS)
        self.batches = [trainer(toy, WHOLE).fields.normalised(one.batch) for one in batches_of(toy, WHOLE)]
        self.on_text = list(self.system.model["text"].parameters())
        self.s = {name: torch.zeros((), dtype=torch.float64, requires_grad=True) for name in self.names}
        own = [p for p in self.system.parameters() if p.requires_grad]
        more = {"lr": OPTIM.lr, "betas": OPTIM.betas, "eps": OPTIM.eps}
        groups = [{"params": own, "weight_decay": OPTIM.weight_decay}]
        self.adamw = torch.optim.AdamW([*groups, {"params": list(self.s.values()), "weight_decay": 0.0}], **more)

    def losses(self, step):
        with sdpa_kernel(SDPBackend.MATH):  # which can be differentiated twice
            found = self.system(self.batches[step], step)
        return {
            name: sum(found.value(key) * term.weight for key, term in found.terms.items() if key.startswith(f"{name}/"))
            for name in self.names
        }

    def moved(self, total):
        self.adamw.zero_grad()
        total.backward()
        self.adamw.step()


def uncertainty(of):
    """1/sigma^2 L + log sigma, 1/(2 sigma^2) L + log sigma, and exp(-s) L + s, s = log sigma^2."""
    for step in range(STEPS):
        losses = of.losses(step)
        sigma = {name: (s / 2).exp() for name, s in of.s.items()}
        joint = {
            "itc": losses["itc"] / sigma["itc"] ** 2 + sigma["itc"].log(),
            "mlm": losses["mlm"] / (2 * sigma["mlm"] ** 2) + sigma["mlm"].log(),
            "itm": losses["itm"] * (-of.s["itm"]).exp() + of.s["itm"],
        }
        yield {"itc": sigma["itc"] ** -2, "mlm": sigma["mlm"] ** -2 / 2, "itm": (-of.s["itm"]).exp()}
        of.moved(sum(WEIGHTS[name] * one for name, one in joint.items()))
    for name, s in of.s.items():
        of.learned[f"balance.log_variances.{name}"] = s


def gradnorm(of):
    """Algorithm 1, on the text encoder; L_grad is differentiated by autograd, its targets held constant."""
    w, first = torch.ones(3, dtype=torch.float64), None
    for step in range(STEPS):
        losses = of.losses(step)
        first = first or {name: loss.detach() for name, loss in losses.items()}
        w = w.detach().requires_grad_()
        norms = []
        for i, name in enumerate(of.names):
            own = torch.autograd.grad(
                w[i] * losses[name], of.on_text, retain_graph=True, create_graph=True, allow_unused=True
            )
            norms.append(torch.cat([x.flatten() for x in own if x is not None]).norm())
        norms = torch.stack(norms)
        inverse = torch.stack([losses[name].detach() / first[name] for name in of.names])
        target = (norms.mean() * (inverse / inverse.mean()) ** 0.7).detach()
        (slope,) = torch.autograd.grad((norms - target).abs().sum(), w, retain_graph=True)
        yield dict(zip(of.names, w.detach()))
        of.moved(sum(WEIGHTS[name] * w[i].detach() * losses[name] for i, name in enumerate(of.names)))
        w = w.detach() - 0.05 * slope
        w = w * 3 / w.sum()
    of.learned["balance.shares"] = w


def pcgrad(of):
    """Algorithm 1, vector by vector; other weights get the plain sum."""
    vision = list(of.system.model["vision"].parameters())
    shared = [p for p in (*of.on_text, *vision) if p.requires_grad]
    for step in range(STEPS):
        losses = of.losses(step)
        plain = []
        for name in of.names:
            own = torch.autograd.grad(WEIGHTS[name] * losses[name], shared, retain_graph=True, allow_unused=True)
            rows = [torch.zeros_like(p) if x is None else x for p, x in zip(shared, own)]
            plain.append(torch.cat([x.flatten() for x in rows]))
        orders = noise.permutation(noise.prng_key(0, "balance", step, "others"), torch.arange(3), 3).tolist()
        turned = [one.clone() for one in plain]
        for i, order in enumerate(orders):
            for j in order:
                if i != j and turned[i] @ plain[j] < 0:
                    turned[i] -= (turned[i] @ plain[j]) / (plain[j] @ plain[j]) * plain[j]
        of.against += sum(bool(plain[i] @ plain[j] < 0) for i in range(3) for j in range(i))
        yield dict.fromkeys(of.names, 1.0)
        of.adamw.zero_grad()
        sum(WEIGHTS[name] * losses[name] for name in of.names).backward()
        for p, own in zip(shared, sum(turned).split([p.numel() for p in shared])):
            if p.grad is not None:
                p.grad.copy_(own.view_as(p))
        of.adamw.step()


@pytest.fixture(scope="module")
def published():
    """Kind -> factors of every step and all that was learned, as the papers say."""
    found = {}
    for kind, algorithm in (("uncertainty", uncertainty), ("gradnorm", gradnorm), ("pcgrad", pcgrad)):
        of = Reference()
        of.learned, of.against = {}, 0
        factors = [{name: float(torch.as_tensor(x).detach()) for name, x in step.items()} for step in algorithm(of)]
        state = dict(of.system.named_parameters()) | of.learned
        found[kind] = factors, {name: value.detach().clone() for name, value in state.items()}, of.against
    return found


@pytest.mark.parametrize("layout", [WHOLE, HALVES], ids=["whole", "halves"])
@pytest.mark.parametrize("kind", KINDS)
def test_against_the_paper(published, kind, layout):
    """Factors of every step, and every weight behind the last; a batch and its halves alike."""
    factors, state, against = published[kind]
    found = trained(toy_of({kind: KINDS[kind]}), layout)
    for row, wanted in zip(found["rows"], factors, strict=True):
        for key, term in row["terms"].items():
            name = key.split("/")[0]
            if key != "itm/accuracy":
                assert term["weight"] == pytest.approx(WEIGHTS[name] * wanted[name], rel=1e-9), (row["step"], key)
        assert row["loss"] == pytest.approx(sum(term["weighted"] for term in row["terms"].values()))
    for name, value in state.items():
        same(found["state"][name], value, name)
    if kind == "pcgrad":
        assert against and sum(row["balance"]["conflicting_pairs"] for row in found["rows"]) == against
    else:
        assert max(abs(math.log(x)) for x in factors[-1].values()) > 0.01, "the factors move"


def test_two_processes_are_one(port, tmp_path):
    """Every number of every step, and of all that was learned, the comparison of gradients too; contrast gathers."""

    def work(rank):
        return {
            kind: trained(toy_of({kind: options}, TWO), Layout(16, 4, 2, rank), (1, 3))
            for kind, options in BRIEF.items()
        }

    one = {kind: trained(toy_of({kind: options}, TWO), Layout(16, 8), (1, 3)) for kind, options in BRIEF.items()}
    both = over_processes(work, port, tmp_path)
    for found in both:
        for kind, wanted in one.items():
            alike(found[kind], wanted)
    for kind in one:
        states = [found[kind]["state"] for found in both]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0]), "the same on all processes"


TWO = {"itc": 1.0, "mlm": 2.0}
BRIEF = {
    "uncertainty": {},
    "gradnorm": {"on": ["text"], "lr": 0.05},
    "pcgrad": {},
}


def test_restored_to_the_bit(tmp_path):
    """Parameters and buffers lie in the checkpoint; the optimiser knows its own of them by name."""
    for kind, options in KINDS.items():
        toy = toy_of({kind: options})
        whole = trained(toy)
        first, batches = trainer(toy, WHOLE), batches_of(toy, WHOLE)
        rows = [first.step(step, batches) for step in range(2)]
        saved = checkpoint.save(tmp_path / kind, 2, first.system, {"optimiser": first.optimiser.state()}, 1)
        again = trainer(toy, WHOLE)
        checkpoint.load_weights(again.system, saved.folder)
        again.optimiser.load(checkpoint.load_state(saved.folder)["optimiser"])
        rows.append(again.step(2, batches_of(toy, WHOLE, 2)))
        assert [row["terms"] for row in rows] == [row["terms"] for row in whole["rows"]], kind
        for name, value in again.system.state_dict().items():
            assert torch.equal(value, whole["state"][name]), (kind, name)


@pytest.mark.parametrize("kind", KINDS)
def test_objectives_that_come_and_go(kind):
    """At a step with one live objective, and without one, nothing of the others moves; factors are of who is live."""
    weights = {"itc": 1.0, "itm": [[1, 0], [2, 0.5]], "mlm": [[1, 0], [2, 0.5]]}
    toy = toy_of({kind: KINDS[kind]}, weights)
    of, batches = trainer(toy, WHOLE), batches_of(toy, WHOLE)
    before = copy.deepcopy(of.system.balance.state_dict())
    alone = [of.step(step, batches) for step in range(2)]
    for name, value in of.system.balance.state_dict().items():
        if not name.endswith("itc"):
            assert torch.equal(value[1:], before[name][1:]) if value.dim() else value == before[name], name
    assert alone[0]["terms"].keys() == {"itc/contrast"}
    together = of.step(2, batches)
    used = {key.split("/")[0]: term["weight"] for key, term in together["terms"].items() if term["weight"]}
    assert used.keys() == {"itc", "itm", "mlm"}
    if kind == "gradnorm":
        assert alone[1]["terms"]["itc/contrast"]["weight"] == 1
        assert used["itc"] + used["itm"] / 0.5 + used["mlm"] / 0.5 == pytest.approx(3)


# ---- the comparison of gradients


def test_conflict_is_measured_and_changes_nothing():
    """Norms and cosines of each objective's share of the gradient, by autograd; the run is the same to the bit."""
    toy = toy_of()
    plain, seen = trained(toy), trained(toy, compared=(1, 2))
    assert all(torch.equal(seen["state"][name], value) for name, value in plain["state"].items())
    assert [{k: v for k, v in row.items() if k != "conflict"} for row in seen["rows"]] == plain["rows"]
    assert ["conflict" in row for row in seen["rows"]] == [True, True, False]
    of = Reference()
    losses, model = of.losses(0), of.system.model
    taken = set()
    for part in model:
        own = [p for p in model[part].parameters() if id(p) not in taken]
        taken |= {id(p) for p in own}
        rows = {}
        for name in of.names:
            found = torch.autograd.grad(WEIGHTS[name] * losses[name], own, retain_graph=True, allow_unused=True)
            if any(x is not None for x in found):
                rows[name] = torch.cat(
                    [(torch.zeros_like(p) if x is None else x).flatten() for p, x in zip(own, found)]
                )
        told = {key: value for key, value in seen["rows"][0]["conflict"].items() if key.startswith(f"{part}/")}
        wanted = {f"{part}/norm/{name}": float(row.norm()) for name, row in rows.items()}
        for i, one in enumerate(rows):
            for other in list(rows)[i + 1 :]:
                wanted[f"{part}/cosine/{one}/{other}"] = float(torch.cosine_similarity(rows[one], rows[other], 0))
        assert told == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert any("cosine" in key for key in seen["rows"][0]["conflict"])


def test_conflict_of_halves_is_that_of_the_whole():
    toy = toy_of()
    alike(trained(toy, HALVES, (1, 2, 3)), trained(toy, WHOLE, (1, 2, 3)))


# ---- fp16's scaler


@pytest.mark.parametrize("kind", ["uncertainty", "gradnorm", "pcgrad"])
def test_a_scaler_changes_nothing_and_a_step_that_it_leaves_out_teaches_nothing(kind):
    toy = toy_of({kind: KINDS[kind]})
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    alike(trained(toy, of=trainer(toy, WHOLE, scaler), compared=(2,)), trained(toy, compared=(2,)))
    of, batches = trainer(toy, WHOLE, scaler), batches_of(toy, WHOLE)
    before = copy.deepcopy(of.system.state_dict())
    stop = of.system.model["text"].register_forward_hook(_overflows)
    row = of.step(0, batches)
    stop.remove()
    assert row["gradient_norm"] is None
    for name, value in of.system.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert of.step(1, batches)["gradient_norm"] is not None


def _overflows(part, given, out):
    out.tokens.register_hook(lambda gradient: gradient * math.inf)


# ---- what is wrong with a balancer


class Wrong(Balancer):
    Config = BalancerConfig
    needs_gradients = True

    def factors(self, names):
        return torch.full((len(names),), math.nan)


class TooMany(Wrong):
    def factors(self, names):
        return torch.ones(len(names) + 1)


class Elsewhere(Wrong):
    def factors(self, names):
        return torch.ones(len(names))

    def combine(self, step):
        return {"nowhere": step.losses}


class TooShort(Elsewhere):
    def combine(self, step):
        return {part: rows.sum(1) for part, rows in step.gradients.items()}


@pytest.mark.parametrize(
    ("cls", "error", "says"),
    [
        (Wrong, PluginError, "at step 0 the factor of 'itc' is nan"),
        (TooMany, ContractError, r"factors returned torch.float32 of shape \[4\]"),
        (Elsewhere, ContractError, "a gradient of 'nowhere'"),
        (TooShort, ContractError, r"combine returned under '\w+' shape \[3\]"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_moves(cls, error, says):
    toy = toy_of({"toy/wrong": {}}, components={"balancer:wrong": cls})
    of, batches = trainer(toy, WHOLE), batches_of(toy, WHOLE)
    before = copy.deepcopy(of.system.state_dict())
    with pytest.raises(error, match=says):
        of.step(0, batches)
    for name, value in of.system.state_dict().items():
        assert torch.equal(value, before[name]), name
