"""Toy pairs: noise for pictures, a few words for captions. Made to be hard on checks, not to be learned."""

import torch
from pydantic import Field

from vlobjectives.contracts.config import ReaderConfig, SourceConfig
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.reader import Reader, TokenEncoding
from vlobjectives.contracts.source import Sample, Source
from vlobjectives.functional import noise

SPECIAL = {"pad": 0, "begin": 1, "end": 2, "mask": 3, "unknown": 4}
VOCABULARY = 30
LENGTH = 9
ANSWERS = 5


class ToyPairs(Source):
    """Column `image`: uint8 [3,S,S], or [F,3,S,S] of a clip; column `caption`: words such as `w7 w21`; column `answer`:
    no label, one, or two with a score each; with `second` a column of that name, a picture of another size.

    Samples whose numbers are equal modulo `pictures` show the same picture.
    """

    class Config(SourceConfig):
        size: int = Field(16, ge=1, description="S, pixels a side")
        frames: int = Field(1, ge=1, description="F; 1 is a picture")
        samples: int = Field(64, ge=1, description="samples of every split")
        second: int | None = Field(None, ge=1, description="pixels a side of another picture, the column `second`")
        pictures: int | None = Field(None, ge=1, description="so many different pictures; null: one a sample")
        words: tuple[int, int] = Field((0, LENGTH - 2), description="fewest and most words of a caption")

        def tiny(self, pixels: int) -> "ToyPairs.Config":
            return self.model_copy(update={"size": pixels})

    def __init__(self, config: "ToyPairs.Config"):
        super().__init__(config)
        frames = (config.frames,) if config.frames > 1 else ()
        self.columns = {
            "image": FieldSpec("picture", (*frames, 3, config.size, config.size)),
            "caption": FieldSpec("raw"),
            "answer": FieldSpec("labels", (2,), ANSWERS, share=(1 / ANSWERS,) * ANSWERS),
        }
        if config.second:
            self.columns["second"] = FieldSpec("picture", (*frames, 3, config.second, config.second))

    def size(self, split: str) -> int:
        return self.config.samples

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample:
        config, shape = self.config, self.columns["image"].shape
        picture = number if config.pictures is None else number % config.pictures
        image = noise.random_uniform(noise.prng_key("toy picture", split, seed), torch.tensor([picture]), *shape)[0]
        dice = noise.random_uniform(noise.prng_key("toy caption", split, seed), torch.tensor([number]), LENGTH)[
            0
        ].tolist()
        low, high = config.words
        words = [
            f"w{int(x * (VOCABULARY - len(SPECIAL)))}" for x in dice[1 : 1 + low + int(dice[0] * (high - low + 1))]
        ]
        scores = noise.random_uniform(noise.prng_key("toy answer", split, seed), torch.tensor([number]), 3)[0].tolist()
        answer = [(int(score * ANSWERS), score) for score in scores[: int(scores[2] * 3)]]
        values = {"image": (image * 256).to(torch.uint8), "caption": " ".join(words), "answer": answer}
        if config.second:
            key, shape = noise.prng_key("toy second", split, seed), self.columns["second"].shape
            values["second"] = (noise.random_uniform(key, torch.tensor([picture]), *shape)[0] * 256).to(torch.uint8)
        return Sample(values, picture, f"toy {number}")

    def digest(self) -> str:
        return self.config.model_dump_json()


class ToyWords(Reader):
    """Two tokens a word; `w0` is the first id that is not special."""

    Config = ReaderConfig

    @property
    def spec(self) -> FieldSpec:
        return FieldSpec("tokens", (LENGTH,), VOCABULARY, special=SPECIAL)

    def read(self, value: str) -> TokenEncoding:
        words = value.split()
        ends = [sum(len(word) + 1 for word in words[:count]) - 1 for count in range(1, len(words) + 1)]
        return TokenEncoding(
            [int(word[1:]) + len(SPECIAL) for word in words],
            [(end - len(word), end) for word, end in zip(words, ends)],
            [n // 2 for n in range(len(words))],
        )
