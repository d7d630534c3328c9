"""A local plug-in whose objective has all that lasts from step to step: buffers, an averaged head."""

import textwrap

CODE = textwrap.dedent("""
    import torch
    from vlobjectives import Objective, StepRows, StepSum, Term, hookimpl, joint

    class Keeper(Objective):
        averaged = frozenset({"head"})

        def __init__(self, config):
            super().__init__(config)
            self.register_buffer("centre", torch.zeros(32))
            self.register_buffer("queue", torch.zeros(12, 32))

        def views(self, inputs):
            return {"x": joint(inputs["image"])}

        def build(self, x):
            self.head = torch.nn.Linear(x.pooled, 4)

        def forward(self, x, batch, averaged):
            gap = (self.head(x.pooled) - averaged["head"](x.pooled)).square().sum()
            gap = gap + (x.pooled - self.centre).square().sum() + (x.pooled @ self.queue.T).square().sum()
            return {"gap": Term(gap, batch.size), "centre": StepSum(x.pooled.sum(0), batch.size),
                    "queue": StepRows(x.pooled)}

        def after_step(self, centre, queue):
            self.centre.lerp_(centre, 0.1)
            self.queue.copy_(torch.cat([queue, self.queue])[:12])

    @hookimpl
    def vlobj_components():
        return {"objective:keeper": Keeper}
""")
