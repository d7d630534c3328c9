"""Wrong objectives, each with one fault that people make; `# here` marks the line that a message should name."""

import math
import random

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

from vlobjectives import MaskName, Objective, ObjectiveConfig, StepRows, StepSum, Term, encoded, fused, joint
from vlobjectives.functional import all_gather_with_grad, gather_tokens, symmetric_info_nce


class Contrast(Objective):
    """A sound one; each fault overrides a piece of it."""

    def views(self, inputs):
        return {"image": joint(inputs["image"]), "text": joint(inputs["text"])}

    def forward(self, image, text, batch, gather):
        return self.contrast(gather(image.pooled), gather(text.pooled), 1 / image.scale)

    def contrast(self, image, text, tau):
        rows = 0.5 * symmetric_info_nce(image, text, tau)
        return {"it": Term(rows.sum(), len(rows), chance=math.log(len(rows)))}


# ---- sums, counts, chance levels


class MeanAsTotal(Contrast):
    def contrast(self, image, text, tau):
        rows = symmetric_info_nce(image, text, tau)
        return {"it": Term(rows.mean(), len(rows))}


class MeanWithCountOne(Contrast):
    def contrast(self, image, text, tau):
        return {"it": Term(symmetric_info_nce(image, text, tau).mean(), 1)}


class CountOfPairs(Contrast):
    def contrast(self, image, text, tau):
        rows = symmetric_info_nce(image, text, tau)
        return {"it": Term(rows.sum(), len(rows) ** 2)}


class ChanceOf(Contrast):
    def chance(self, n):
        raise NotImplementedError

    def contrast(self, image, text, tau):
        rows = 0.5 * symmetric_info_nce(image, text, tau)
        return {"it": Term(rows.sum(), len(rows), chance=self.chance(len(rows)))}


class ChanceTwice(ChanceOf):
    def chance(self, n):
        return 2 * math.log(n)


class ChanceTimesN(ChanceOf):
    def chance(self, n):
        return n * math.log(n)


class ChanceBelowZero(ChanceOf):
    def chance(self, n):
        return -1


class ChanceOfWords(Objective):
    """ln of the length of a caption where ln of the vocabulary belongs."""

    class Config(ObjectiveConfig):
        mask: MaskName = "hidden_words"
        head: str = "words"

    def views(self, inputs):
        return {"text": encoded(inputs["text"].masked(self.config.mask))}

    def build(self, text):
        self.words = nn.Linear(text.width, 30)

    def forward(self, text, batch):
        ok = text.draw.index_ok
        wanted = gather_tokens(batch["text"].ids, text.draw.index).masked_fill(~ok, -100)
        logits = self.words(gather_tokens(text.tokens, text.draw.index))
        total = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-100, reduction="sum")
        return {"it": Term(total, ok.sum(), chance=math.log(text.tokens.shape[1]))}

    def counts(self, text):
        return {"it": text.draw.index_ok.sum()}


# ---- gradients


class TowerDetached(Contrast):
    def forward(self, image, text, batch, gather):
        return self.contrast(gather(image.pooled.detach()), gather(text.pooled), 1 / image.scale)


class TemperatureDetached(Contrast):
    def forward(self, image, text, batch, gather):
        return self.contrast(gather(image.pooled), gather(text.pooled), 1 / image.scale.detach())


class HeadUnused(Contrast):
    def build(self, image):
        self.head = nn.Linear(image.pooled, image.pooled)

    def forward(self, image, text, batch, gather):
        with torch.no_grad():
            shifted = self.head(image.pooled)
        return self.contrast(gather(image.pooled + shifted), gather(text.pooled), 1 / image.scale)


class NanGradients(Contrast):
    def forward(self, image, text, batch, gather):
        gap = (gather(image.pooled) - gather(image.pooled)).square().sum(-1)  # here
        terms = self.contrast(gather(image.pooled), gather(text.pooled), 1 / image.scale)
        return {"it": Term(terms["it"].total + gap.sqrt().sum(), terms["it"].count)}


class OwnRowsKept(Contrast):
    """Gathered rows without gradient, its own put back in their place: exact on one process alone."""

    def forward(self, image, text, batch, gather):
        v, t = gather(image.pooled.detach()), gather(text.pooled.detach())
        mine = (gather(batch.number)[:, None] == batch.number).to(v.dtype)
        v, t = v + mine @ (image.pooled - image.pooled.detach()), t + mine @ (text.pooled - text.pooled.detach())
        return self.contrast(v, t, 1 / image.scale)


# ---- several processes


class OwnRows(Contrast):
    def forward(self, image, text, batch):
        return self.contrast(image.pooled, text.pooled, 1 / image.scale)


class HalfGathered(Contrast):
    def forward(self, image, text, batch, gather):
        t = gather(text.pooled)
        logits = image.scale * image.pooled @ t.T
        right = (gather(batch.number) == batch.number[:, None]).long().argmax(1)
        middle = t.mean(0) - image.pooled.mean(0)
        return {"it": Term(F.cross_entropy(logits, right, reduction="sum") + middle.square().sum(), len(logits))}


class OwnCovariance(Contrast):
    def forward(self, image, text, batch, gather):
        terms = self.contrast(gather(image.pooled), gather(text.pooled), 1 / image.scale)
        x = image.pooled - image.pooled.mean(0)
        covariance = x.T @ x / len(x)
        return {**terms, "covariance": Term(batch.size * covariance.square().sum(), batch.size)}


class Normed(Contrast):
    norm: type

    def build(self, image):
        self.norm_rows = self.norm(image.pooled)

    def forward(self, image, text, batch, gather):
        v = self.norm_rows(image.pooled)  # here
        return self.contrast(gather(v), gather(text.pooled), 1 / image.scale)


class BatchNormed(Normed):
    norm = nn.BatchNorm1d


class SyncNormed(Normed):
    norm = nn.SyncBatchNorm


class GuardedMessages(Contrast):
    def forward(self, image, text, batch):
        v = image.pooled
        if dist.is_initialized():  # here
            parts = [torch.empty_like(v) for _ in range(dist.get_world_size())]
            dist.all_gather(parts, v)
            v = torch.cat(parts)
        return self.contrast(v, text.pooled, 1 / image.scale)


class UnguardedMessages(Contrast):
    def forward(self, image, text, batch, gather):
        centre = image.pooled.detach().mean(0)
        dist.all_reduce(centre)  # here
        return self.contrast(gather(image.pooled - centre), gather(text.pooled), 1 / image.scale)


class PublicGather(Contrast):
    def forward(self, image, text, batch):
        v = all_gather_with_grad(image.pooled)  # here
        return self.contrast(v, all_gather_with_grad(text.pooled), 1 / image.scale)


class GathersNowAndThen(Contrast):
    def forward(self, image, text, batch, gather):
        rows = gather(text.pooled) if 0 in batch.number else text.pooled
        return {"it": Term((image.pooled * text.pooled).sum() + 0 * rows.sum(), batch.size)}


# ---- state


class Queue(Contrast):
    """The rows of steps before as further negatives."""

    def negatives(self):
        raise NotImplementedError

    def forward(self, image, text, batch, gather):
        t = torch.cat([gather(text.pooled), *self.negatives()])
        logits = image.scale * gather(image.pooled) @ t.T
        right = torch.arange(len(logits))
        self.keep(gather(text.pooled.detach()))
        return {"it": Term(F.cross_entropy(logits, right, reduction="sum"), len(logits))}


class ListQueue(Queue):
    def build(self):
        self.queue = []

    def negatives(self):
        return self.queue

    def keep(self, rows):
        if self.training:
            self.queue.append(rows)  # here


class Counter(Contrast):
    """A weight that grows with the calls."""

    calls = 0

    def forward(self, image, text, batch, gather):
        terms = super().forward(image, text, batch, gather)
        self.calls += self.training  # here
        return {"it": Term(terms["it"].total * (1 + 0.1 * self.calls), terms["it"].count)}


class Centred(Contrast):
    """A centre of the pictures, which is to be kept and is."""

    persistent = True

    def build(self, image):
        self.register_buffer("centre", torch.zeros(image.pooled), persistent=self.persistent)

    def forward(self, image, text, batch, gather):
        terms = self.contrast(gather(image.pooled - self.centre), gather(text.pooled), 1 / image.scale)
        return {**terms, "middle": StepSum(image.pooled.sum(0), batch.size)}

    def after_step(self, middle):
        self.centre.lerp_(middle, 0.5)


class CentreUnsaved(Centred):
    persistent = False


class CentreInForward(Centred):
    def forward(self, image, text, batch, gather):
        terms = self.contrast(gather(image.pooled - self.centre), gather(text.pooled), 1 / image.scale)
        if self.training:
            self.centre.lerp_(gather(image.pooled).mean(0).detach(), 0.5)  # here
        return terms

    after_step = Objective.after_step


class CentreOfOwnRows(Centred):
    def forward(self, image, text, batch, gather):
        self.last = image.pooled.detach()
        return super().forward(image, text, batch, gather)

    def after_step(self, middle):
        self.centre.lerp_(self.last.mean(0), 0.5)


class GrowingQueue(Contrast):
    def build(self, text):
        self.register_buffer("queue", torch.zeros(0, text.pooled))

    def forward(self, image, text, batch, gather):
        terms = super().forward(image, text, batch, gather)
        return {**terms, "seen": StepRows(text.pooled)}

    def after_step(self, seen):
        self.queue = torch.cat([self.queue, seen])


# ---- what is given, randomness, shapes, places


class WritesView(Contrast):
    def forward(self, image, text, batch, gather):
        image.pooled.mul_(2)  # here
        return super().forward(image, text, batch, gather)


class WritesBatch(Contrast):
    def forward(self, image, text, batch, gather):
        batch["text"].ids[:, 1] = 7  # here
        return super().forward(image, text, batch, gather)


class WritesOverWhatIsNeeded(Contrast):
    def forward(self, image, text, batch, gather):
        v = (0.5 * image.pooled).exp()
        loss = (v * text.pooled).sum()
        v.zero_()
        return {"it": Term(loss, batch.size)}


class TorchDice(Contrast):
    def forward(self, image, text, batch, gather):
        v = image.pooled * (torch.rand_like(image.pooled) < 0.9)  # here
        return self.contrast(gather(v), gather(text.pooled), 1 / image.scale)


class TorchDiceInTraining(Contrast):
    def forward(self, image, text, batch, gather):
        v = F.dropout(image.pooled, 0.1, self.training)  # here
        return self.contrast(gather(v), gather(text.pooled), 1 / image.scale)


class PythonDice(Contrast):
    def forward(self, image, text, batch, gather):
        v = gather(image.pooled) * random.random()  # here
        return self.contrast(v, gather(text.pooled), 1 / image.scale)


class NumpyDice(Contrast):
    def forward(self, image, text, batch, gather):
        return self.contrast(gather(image.pooled) * np.random.rand(), gather(text.pooled), 1 / image.scale)


class OwnDice(Contrast):
    def forward(self, image, text, batch, gather):
        dice = np.random.default_rng()
        return self.contrast(gather(image.pooled) * dice.random(), gather(text.pooled), 1 / image.scale)


class Item(Contrast):
    def forward(self, image, text, batch, gather):
        tau = 1 / image.scale.item() + 0 * image.scale  # here
        return self.contrast(gather(image.pooled), gather(text.pooled), tau + 1 / image.scale)


class BooleanIndex(Contrast):
    def forward(self, image, text, batch, gather):
        near = (image.pooled * text.pooled).sum(1)
        return {"it": Term((near[near < 0.5] * image.scale).sum(), batch.size)}  # here


class FirstRowSpecial(Contrast):
    def forward(self, image, text, batch, gather):
        v = gather(image.pooled)
        return self.contrast(v + v[:1], gather(text.pooled), 1 / image.scale)


# ---- numbers


class Doubles(Contrast):
    def forward(self, image, text, batch, gather):
        turn = torch.eye(image.pooled.shape[1], dtype=torch.float64)
        return self.contrast(gather(image.pooled @ turn), gather(text.pooled), 1 / image.scale)  # here


class Halves(Contrast):
    def forward(self, image, text, batch, gather):
        terms = super().forward(image, text, batch, gather)
        return {"it": Term(terms["it"].total.bfloat16(), terms["it"].count)}


class Overflows(Contrast):
    def contrast(self, image, text, tau):
        logits = (image @ text.T / tau).exp()
        rows = -(logits.diagonal() / logits.sum(1)).log()
        return {"it": Term(rows.sum(), len(rows), chance=math.log(len(rows)))}


class UnguardedNorm(Contrast):
    def views(self, inputs):
        return {"pair": fused(inputs["image"], inputs["text"])}

    def forward(self, pair, batch, gather):
        v, t = (x.cls[:, 0] / x.cls[:, 0].norm(dim=-1, keepdim=True) for x in (pair.image, pair.text))
        return self.contrast(gather(v), gather(t), 0.1)


class AsksTheCompiler(Contrast):
    def forward(self, image, text, batch, gather):
        faster = 2 if torch.compiler.is_compiling() else 1
        return self.contrast(gather(image.pooled) * faster, gather(text.pooled), 1 / image.scale)
