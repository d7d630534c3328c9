"""A plug-in of a third party: six objectives whose options, views and modules are called as none of the shipped ones.

What evaluations may ask of them are the methods of their roles alone.
"""

import torch
from torch import nn
from torch.nn import functional as F

from vlobjectives import (
    FeatureRecovery,
    FieldName,
    GenerationSpec,
    InputName,
    MaskName,
    Objective,
    ObjectiveConfig,
    PairingName,
    PartName,
    Term,
    decoded,
    encoded,
    fused,
    hookimpl,
)
from vlobjectives.functional import gather_tokens, patchify


class Couples(Objective):
    """Matching by one number."""

    class Config(ObjectiveConfig):
        strangers: PairingName = "others"

    def views(self, inputs):
        return {"mixed": fused(inputs["image"], inputs["text"], self.config.strangers, keep=0.5)}

    def build(self, mixed):
        self.judge = nn.Linear(mixed.pooled, 1)

    def forward(self, mixed):
        odds = self.log_odds(mixed)
        loss = F.binary_cross_entropy_with_logits(odds, mixed.pairs.matched.float(), reduction="sum")
        return {"couple": Term(loss, len(odds))}

    def log_odds(self, pairs):
        return self.judge(pairs.pooled)[:, 0]


class Gaps(Objective):
    """Masked words by a classifier of its own."""

    class Config(ObjectiveConfig):
        blanks: MaskName = "hidden_words"
        sheet: InputName = "text"

    def views(self, inputs):
        return {"torn": fused(inputs["image"], inputs[self.config.sheet].masked(self.config.blanks))}

    def build(self, torn, sheet):
        self.lexicon = nn.Linear(torn.width, next(iter(sheet.fields.values())).vocabulary)

    def forward(self, torn, batch):
        draw = torn.text.draw
        words = gather_tokens(batch["text"].ids, draw.index).masked_fill(~draw.index_ok, -100)
        logits = self.lexicon(gather_tokens(torn.text.tokens, draw.index))
        loss = F.cross_entropy(logits.flatten(0, 1), words.flatten(), ignore_index=-100, reduction="sum")
        return {"gap": Term(loss, draw.index_ok.sum())}

    def token_mask(self):
        return self.config.blanks

    def predict_tokens(self, pairs, index, part):
        return self.lexicon(gather_tokens(pairs.text.tokens, index)).argmax(-1)


class Scribe(Objective):
    """Captions."""

    class Config(ObjectiveConfig):
        pen: PartName = "captioner"
        letters: PartName = "letters"

    def views(self, inputs):
        return {"page": decoded(inputs["typed"], inputs["image"], part=self.config.pen)}

    def forward(self, page, letters, batch):
        label = batch["typed"].ids[:, 1:].masked_fill(~batch["typed"].valid[:, 1:], -100)
        logits = letters(page.tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), label.flatten(), ignore_index=-100, reduction="sum")
        return {"page": Term(loss, (label != -100).sum())}

    def writes(self, inputs):
        memory = encoded(inputs["image"])
        return GenerationSpec("image", memory, inputs["typed"], self.config.pen, self.config.letters)


class Restorer(Objective):
    """Pixels of hidden patches."""

    class Config(ObjectiveConfig):
        holes: MaskName = "replaced"
        easel: PartName = "painter"

    def views(self, inputs):
        return {"canvas": decoded(inputs["image"].masked(self.config.holes), inputs["text"], part=self.config.easel)}

    def build(self, canvas):
        self.side = canvas.patch_size
        self.brush = nn.Linear(canvas.width, 3 * self.side**2)

    def forward(self, canvas, batch):
        draw = canvas.draw
        gap = self.brush(gather_tokens(canvas.tokens, draw.index)) - gather_tokens(
            patchify(batch["image"], self.side), draw.index
        )
        return {"paint": Term(gap.square().mean(-1).where(draw.index_ok, 0.0).sum(), draw.index_ok.sum())}

    def reconstruction(self, inputs):
        return self.views(inputs)["canvas"]

    def reconstruction_error(self, decoded, batch):
        term = self(decoded, batch)["paint"]
        return term.total / term.count


class Mender(Objective):
    """Class tokens and hidden tokens, each against the pass in which the other side is masked."""

    class Config(ObjectiveConfig):
        holes: MaskName = "replaced"
        blanks: MaskName = "hidden_words"

    def views(self, inputs):
        image, text = inputs["image"], inputs["text"]
        return {
            "holed": fused(image.masked(self.config.holes), text),
            "blanked": fused(image, text.masked(self.config.blanks)),
        }

    def forward(self, holed, blanked):
        gap = holed.image.cls - blanked.image.cls.detach()
        return {"mend": Term(gap.square().sum(), len(gap))}

    def class_recoveries(self, inputs):
        holed, blanked = self.views(inputs).values()
        return [FeatureRecovery(holed, blanked, "image"), FeatureRecovery(blanked, holed, "text")]

    token_recoveries = class_recoveries


class Oracle(Objective):
    """Answers as a choice among labels."""

    class Config(ObjectiveConfig):
        replies: FieldName = "reply"

    def views(self, inputs):
        return {"heard": fused(inputs["image"], inputs["asked"], part="listener")}

    def build(self, heard, replies):
        self.verdict = nn.Linear(heard.pooled, replies.vocabulary)

    def forward(self, heard, batch):
        right = torch.zeros(len(heard.pooled), self.verdict.out_features, device=heard.pooled.device)
        right = right.scatter(1, batch[self.config.replies].ids, 1.0)
        loss = F.binary_cross_entropy_with_logits(self.answer_scores(heard), right, reduction="sum")
        return {"reply": Term(loss, len(right))}

    def answer_field(self):
        return self.config.replies

    def answer_scores(self, pairs):
        return self.verdict(pairs.pooled)


@hookimpl
def vlobj_components():
    return {f"objective:{cls.__name__.lower()}": cls for cls in (Couples, Gaps, Scribe, Restorer, Mender, Oracle)}
