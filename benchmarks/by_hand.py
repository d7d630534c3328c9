"""The small GLSCL step as one would write it for this one model: no planner, no plug-ins, the same parts and formulas.

Masks, partners and losses stand here in plain torch; the modules are those of a built system, so that what differs
from the library's step is the library alone.
"""

from contextlib import nullcontext
from typing import Any

import torch
from torch.nn import functional as F

from vlobjectives import Batch, MaskSample, Pairs, RequestedOutputs
from vlobjectives.api import BuiltSystem
from vlobjectives.functional import (
    gather_tokens,
    indices_to_mask,
    l2_normalize,
    mask_to_indices,
    mine_negatives,
    num_kept,
    num_replaced,
    symmetric_info_nce,
)
from vlobjectives.recipe.times import weight_at
from vlobjectives.training.schedule import rate_factor

PLAIN = RequestedOutputs()


class ByHand:
    """`step(loaded)` trains; `losses(batch, drawn)` are the terms, `draw(batch)` what is hidden and paired."""

    def __init__(self, system: BuiltSystem, step: int):
        self.system, self.recipe, self.at = system, system.recipe, step
        self.model, self.itm_head = system.model, system.objectives["itm"].head
        self.parameters = [p for p in system.parameters() if p.requires_grad]
        optim, steps = self.recipe.optim, self.recipe.run.steps
        groups: dict[float, list[torch.nn.Parameter]] = {}
        for name, p in system.named_parameters():
            factor = (
                0.1
                if name == "model.joint.temperature"
                else 2.0
                if name.startswith(("model.fusion.", "model.words.", "objectives.itm."))
                else 1.0
            )
            groups.setdefault(factor, []).append(p)
        self.factors = list(groups)
        self.optimiser = torch.optim.AdamW(
            [{"params": group} for group in groups.values()],
            lr=optim.lr,
            betas=optim.betas,
            weight_decay=optim.weight_decay,
            fused=True,
        )
        self.weights = {name: weight_at(entry.weight, step, steps) for name, entry in self.recipe.objectives.items()}
        schedule = optim.schedule
        self.rate = optim.lr * rate_factor(step, steps, schedule.warmup, schedule.then, schedule.floor)
        spec = system.data_module.fields.spec("image")
        self.mean = torch.tensor(spec.mean, device=system.device).view(3, 1, 1) * 255
        self.std = torch.tensor(spec.std, device=system.device).view(3, 1, 1) * 255
        self.site, self.patches = system.sites[""]["text"], system.sites[""]["image"].positions

    def step(self, loaded: Any) -> tuple[float, float]:
        """One optimiser step on a batch in memory; (loss, gradient norm)."""
        batch = loaded.batch.to(self.system.device)
        batch.values["image"] = (batch["image"].float() - self.mean) / self.std
        for group, factor in zip(self.optimiser.param_groups, self.factors):
            group["lr"] = self.rate * factor
        self.optimiser.zero_grad(set_to_none=True)
        total = self.total(self.losses(batch, self.draw(batch)))
        total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.optim.clip)
        loss, size = total.item(), norm.item()
        if loss != loss or size != size:
            raise FloatingPointError(f"loss {loss}, gradient {size}")
        self.optimiser.step()
        with torch.no_grad():
            self.model["joint"].temperature.clamp_(min=1e-3)
        return loss, size

    def total(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        inside = {"mltc/image": 0.2, "mltc/text": 0.2}
        return sum(self.weights[name.split("/")[0]] * inside.get(name, 1.0) * term for name, term in terms.items())

    @torch.no_grad()
    def draw(self, batch: Batch) -> dict[str, Any]:
        masks, n, rows = self.system.masks, self.patches, batch.size
        device = batch.number.device
        order = torch.rand(rows, n, device=device).argsort(1)
        keep, gone = order.split([k := num_kept(n, masks["dropped"].config.ratio), n - k], 1)
        changed = torch.rand(rows, n, device=device).argsort(1)[:, : num_replaced(n, masks["replaced"].config.ratio)]
        text = batch["text"]
        word, length = ~text.special, text.ids.shape[1]
        count = word.sum(1, keepdim=True)
        rank = torch.rand(rows, length, device=device).masked_fill(~word, 2.0).argsort(1).argsort(1)
        noisy = word & (rank < (count * masks["noisy_words"].config.ratio).round().clamp(min=1))
        how = torch.rand(rows, length, device=device)
        anything = torch.randint(len(self.site.special), self.site.vocabulary, (rows, length), device=device)
        mask = self.site.special["mask"]
        bert = torch.where(how < 0.8, mask, torch.where(how < 0.9, anything, text.ids))
        most = masks["hidden_words"].size(self.site)
        place = 1 + (torch.rand(rows, most, device=device) * count).long()
        drawn = torch.arange(most, device=device) < (count * masks["hidden_words"].config.ratio).long() + 1
        hidden = indices_to_mask(place, length, drawn)
        image, valid = mine_negatives(torch.rand(rows, rows, device=device), batch.same)
        own = torch.arange(rows, device=device)
        matched = torch.rand(rows, device=device).argsort().argsort() < rows // 2
        return {
            "dropped": _draw(indices_to_mask(gone, n), n - k, "drop", keep=keep),
            "replaced": _draw(indices_to_mask(changed, n), changed.shape[1], "token"),
            "noisy_words": _draw(
                noisy, masks["noisy_words"].size(self.site), "bert", ids=torch.where(noisy, bert, text.ids)
            ),
            "hidden_words": _draw(hidden, most, "mask", ids=text.ids.masked_fill(hidden, mask)),
            "others": Pairs(torch.where(matched, own, image), own, own, valid | matched, matched),
        }

    def losses(self, batch: Batch, drawn: dict[str, Any]) -> dict[str, torch.Tensor]:
        """`objective/term` -> mean."""
        vision, text, fusion, joint = (self.model[name] for name in ("vision", "text", "fusion", "joint"))
        picture, caption, pairs = batch["image"], batch["text"], drawn["others"]
        with nullcontext() if self.system.autocast is None else torch.autocast(*self.system.autocast):
            v, t = vision(picture, None, PLAIN), text(caption, None, PLAIN)
            v_dropped, v_replaced = (vision(picture, drawn[name], PLAIN) for name in ("dropped", "replaced"))
            t_noisy, t_hidden = (text(caption, drawn[name], PLAIN) for name in ("noisy_words", "hidden_words"))
            jv, jt = joint(v, "image", PLAIN), joint(t, "text", PLAIN)
            match = fusion(v.rows(pairs.image), t.rows(pairs.text), PLAIN)
            named = fusion(v, t_noisy, PLAIN)
            a, b, c = fusion(v_dropped, t, PLAIN), fusion(v_replaced, t, PLAIN), fusion(v, t_hidden, PLAIN)
        itc = 0.5 * symmetric_info_nce(jt.pooled.float(), jv.pooled.float(), 1 / jv.scale).mean()
        label = pairs.matched.long().masked_fill(~pairs.valid, -100)
        noisy, words, patches = drawn["noisy_words"], drawn["hidden_words"], drawn["replaced"]
        logits = self.model["words"](gather_tokens(named.text.tokens, noisy.index).float())
        answer = gather_tokens(caption.ids, noisy.index).masked_fill(~noisy.index_ok, -100)
        return {
            "itc/contrast": itc,
            "itm/match": F.cross_entropy(self.itm_head(match.pooled.float()), label),
            "mlm/words": F.cross_entropy(logits.flatten(0, 1), answer.flatten()),
            "mgsc/image": _complete(a.image.cls[:, 0], c.image.cls[:, 0]),
            "mgsc/text": _complete(c.text.cls[:, 0], a.text.cls[:, 0]),
            "mltc/image": _complete(
                gather_tokens(b.image.tokens, patches.index).flatten(0, 1),
                gather_tokens(c.image.tokens, patches.index).flatten(0, 1),
            ),
            "mltc/text": _complete(
                gather_tokens(c.text.tokens, words.index).flatten(0, 1),
                gather_tokens(a.text.tokens, words.index).flatten(0, 1),
                words.index_ok.flatten(),
            ),
        }


def _draw(hidden: torch.Tensor, size: int, fill: str, **more: Any) -> MaskSample:
    index, ok = mask_to_indices(hidden, size)
    return MaskSample(hidden, hidden, index, ok, fill=fill, **more)


def _complete(prediction: torch.Tensor, target: torch.Tensor, ok: torch.Tensor | None = None) -> torch.Tensor:
    rows = symmetric_info_nce(l2_normalize(prediction.float()), l2_normalize(target.detach().float()), 0.03, valid=ok)
    return rows.mean() if ok is None else rows.sum() / ok.sum()
