"""Every check of sources finds the source that fails it, of pictures or of anything else, and says what and where."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import Field

from vlobjectives import FieldSpec, Sample, Source, SourceConfig, Substitute, UnusableSample
from vlobjectives.functional import noise
from vlobjectives.testing import CheckFailed, Toy, checks_of
from vlobjectives.testing.toy_data import ToyPairs


class Rhythms(Source):
    """Beats with a caption and a tempo: no picture anywhere. What fails a check overrides one thing."""

    class Config(SourceConfig):
        samples: int = Field(10, gt=0)
        beats: int = Field(8, gt=0)
        loud: bool = False

    def __init__(self, config):
        super().__init__(config)
        self.columns = {
            "wave": FieldSpec("raw"),
            "caption": FieldSpec("raw"),
            "tempo": FieldSpec("number"),
            "accents": FieldSpec("labels", (2,), 8),
            "spectrum": FieldSpec("vectors", (4, 3)),
        }

    def size(self, split):
        return self.config.samples

    def key(self, split, number, epoch, seed):
        return noise.prng_key("rhythm", split)

    def sample(self, split, number, epoch, seed):
        wave = noise.random_uniform(self.key(split, number, epoch, seed), torch.tensor([number]), self.config.beats)[0]
        return Sample(
            {
                "wave": wave * (1 + self.config.loud),
                "caption": f"{number} beats",
                "tempo": float(number),
                "accents": [number % 8],
                "spectrum": wave[:6].reshape(-1, 3),
            },
            number,
            f"rhythm {number}",
        )

    def digest(self):
        return self.config.model_dump_json()


class Random(Rhythms):
    def sample(self, split, number, epoch, seed):
        drawn = super().sample(split, number, epoch, seed)
        return replace(drawn, values={**drawn.values, "tempo": random.random()})


class Counts(Rhythms):
    calls = 0

    def sample(self, split, number, epoch, seed):
        self.calls += 1
        drawn = super().sample(split, number, epoch, seed)
        return replace(drawn, values={**drawn.values, "tempo": float(self.calls)})


class Seeds(Rhythms):
    def sample(self, split, number, epoch, seed):
        torch.manual_seed(number)
        return super().sample(split, number, epoch, seed)


class Keeps(Rhythms):
    def __init__(self, config):
        super().__init__(config)
        self.kept = {}

    def sample(self, split, number, epoch, seed):
        if (split, number) not in self.kept:
            self.kept[split, number] = super().sample(split, number, epoch, seed)
        return self.kept[split, number]


class Unpicklable(Rhythms):
    def __init__(self, config):
        super().__init__(config)
        self.scale = lambda x: x


class KnowsWorkers(Rhythms):
    """As one that seeds itself by the worker's number, which many data sets do."""

    def sample(self, split, number, epoch, seed):
        drawn = super().sample(split, number, epoch, seed)
        return replace(drawn, key=f"{drawn.key} by {torch.utils.data.get_worker_info() is not None}")


class Lacks(Rhythms):
    def sample(self, split, number, epoch, seed):
        drawn = super().sample(split, number, epoch, seed)
        return replace(drawn, values={key: x for key, x in drawn.values.items() if key != "tempo"})


class ManyAccents(Rhythms):
    def sample(self, split, number, epoch, seed):
        drawn = super().sample(split, number, epoch, seed)
        return replace(drawn, values={**drawn.values, "accents": [1, 2, 3]})


class OtherAccents(Rhythms):
    def sample(self, split, number, epoch, seed):
        drawn = super().sample(split, number, epoch, seed)
        return replace(drawn, values={**drawn.values, "accents": [8]})


class OtherValue(Rhythms):
    def value(self, split, number, column, epoch, seed):
        return f"{number} beats." if column == "caption" else super().value(split, number, column, epoch, seed)


class OneSplit(Rhythms):
    def key(self, split, number, epoch, seed):
        return noise.prng_key("rhythm")


class NoTrain(Rhythms):
    def splits(self):
        return ("test",)


class Negative(Rhythms):
    def size(self, split):
        return -1 if split == "test" else super().size(split)


class SameByEpoch(Rhythms):
    def sample(self, split, number, epoch, seed):
        return replace(super().sample(split, number, epoch, seed), same=number + 100 * epoch)


class SometimesBad(Rhythms):
    def sample(self, split, number, epoch, seed):
        if number == 3 and epoch % 2 == 0:
            return UnusableSample("no beat", "rhythm 3")
        return super().sample(split, number, epoch, seed)


class SilentlyBad(Rhythms):
    def sample(self, split, number, epoch, seed):
        return UnusableSample("", "") if number == 3 else super().sample(split, number, epoch, seed)


class DeafDigest(Rhythms):
    def digest(self):
        return "rhythms"


class NewDigest(Rhythms):
    def digest(self):
        return str(id(self))


class Complains(Rhythms):
    def problems(self, thorough=False):
        return ["rhythm 3 has no beat"] if thorough else []


class OtherDescription(Rhythms):
    @classmethod
    def described(cls, config):
        return {"wave": FieldSpec("raw")}


class Big(Rhythms):
    class Config(Rhythms.Config):
        samples: int = 10**6


class SmallOther(Rhythms):
    class Config(Rhythms.Config):
        def tiny(self, pixels):
            return Substitute("no_such_source")


FAULTS = [
    ("same_when_asked_again", Random, r"sample 9 of test in epoch 0 is another one when asked again.*values.tempo is"),
    ("same_when_asked_again", Counts, "when asked again in another order: values.tempo is"),
    ("same_when_asked_again", Seeds, "`sample` moves torch's random state, which is the run's"),
    (
        "samples_are_ones_own",
        Keeps,
        "whoever writes into 'wave' changes what the source gives next: values.wave",
    ),
    ("same_in_workers", Unpicklable, "it cannot be pickled"),
    (
        "same_in_workers",
        KnowsWorkers,
        r"step 0 is another one of two loader workers \(data.workers: 2\).*key is",
    ),
    ("as_declared", Lacks, "sample 0 of train has no column 'tempo', which `columns` declares"),
    ("as_declared", ManyAccents, "'accents' of sample 0 of train has 3 entries, and its FieldSpec says 2 at most"),
    ("as_declared", OtherAccents, r"has the ids \[8\], and its vocabulary is 8"),
    ("value_equals_sample", OtherValue, "`value` of number 0 of train.*caption is '0 beats' and '0 beats.'"),
    ("splits_have_sizes", OneSplit, "the first samples of 'val' are those of 'train'"),
    ("splits_have_sizes", NoTrain, "`train` is not among them"),
    ("splits_have_sizes", Negative, "`size` of test is -1"),
    ("same_is_same", SameByEpoch, "`same` of number 0 of train is 0 in epoch 0, then 100"),
    ("unusable_stays_so", SometimesBad, r"sample 3 of train is unusable in epoch 0 \(no beat\), and not in epoch 1"),
    ("unusable_stays_so", SilentlyBad, "sample 3 of train is unusable and says no reason or no key"),
    (
        "digest_tells",
        DeafDigest,
        "the same with samples: 11, and the data is not: sizes.train is 10 and 11",
    ),
    ("digest_tells", NewDigest, "another one for another instance"),
    ("problems_of_its_own", Complains, "finds 1 on the data that it is tried on, the first: rhythm 3 has no beat"),
    ("described_as_made", OtherDescription, "`described` is not `columns`"),
    ("tiny_is_small", Big, "its small form has 1000000 training samples"),
    ("tiny_is_small", SmallOther, "its small form, .*, cannot be made: .*no source 'no_such_source'"),
]


class Shifted(ToyPairs):
    """The pictures are those of every third number, and `same` does not say so."""

    def sample(self, split, number, epoch, seed):
        return replace(super().sample(split, number, epoch, seed), same=number)


class AllSame(ToyPairs):
    def sample(self, split, number, epoch, seed):
        return replace(super().sample(split, number, epoch, seed), same=0)


def picture(change, cls=ToyPairs):
    """Toy pairs whose pictures are changed."""

    class Changed(cls):
        def sample(self, split, number, epoch, seed):
            drawn = super().sample(split, number, epoch, seed)
            return replace(drawn, values={**drawn.values, "image": change(drawn.values["image"])})

    return Changed


PICTURES = [
    ("same_is_same", Shifted, "numbers 0 and 3 of train show the same picture, and their `same` are 0 and 3"),
    ("same_is_same", AllSame, "numbers 0 and 1 of val have the same `same`, 0, and show different pictures"),
    ("as_declared", picture(lambda x: x[:, 1:]), r"'image' of sample 0 of train.*\[3, 16, 16\].*\[3, 15, 16\]"),
    ("as_declared", picture(lambda x: x.float()), "floats from 0 to 255"),
    (
        "as_declared",
        picture(lambda x: (x / 255.0).to(torch.uint8)),
        "the brightest 'image' of all samples is 0.0039",
    ),
    ("as_declared", picture(lambda x: x / 255.0 / 255.0), "the brightest 'image' of all samples is 0.0039 of white"),
    ("as_declared", picture(lambda x: x.int()), "'image' of sample 0 of train"),
]


def one(name, *given):
    return next(check for check in checks_of(*given) if check.name == name)


@pytest.mark.parametrize(("name", "cls", "says"), FAULTS, ids=lambda x: getattr(x, "__name__", None))
def test_faults_of_a_source_without_pictures(name, cls, says):
    with pytest.raises(CheckFailed, match=rf"(?s)fails the check '{name}': .*{says}") as failure:
        one(name, cls)()
    assert "test_source_checks.py:" in str(failure.value) and "    hint:  " in str(failure.value)


@pytest.mark.parametrize(("name", "cls", "says"), PICTURES)
def test_faults_of_pictures(name, cls, says):
    with pytest.raises(CheckFailed, match=rf"(?s)fails the check '{name}'.*{says}.*hint:  "):
        one(name, cls, {"pictures": 3})()


@pytest.mark.parametrize(("cls", "given"), [(Rhythms, {}), (ToyPairs, {}), (ToyPairs, {"pictures": 3, "frames": 2})])
def test_sound_sources_pass(cls, given):
    for check in checks_of(cls, given):
        check()


# ---- contrast pairs


SCENES = {"image_size": 32, "samples": 8, "val": 4, "test": 4, "test_new": 0}


def pairs_changed(change):
    """`scenes` whose contrast pairs are changed, by name since its class is a plug-in's."""
    base = Toy().registry.get("source", "scenes")

    class Changed(base):
        def twins(self, split, kind, count):
            return [change(pair) for pair in super().twins(split, kind, count)]

    return Changed


PAIRS = [
    (lambda pair: replace(pair, right=pair.left), "have the same `same`"),
    (lambda pair: replace(pair, where=np.zeros_like(pair.where)), "pixels outside of `where`"),
    (lambda pair: replace(pair, spans=((), ())), "differ outside of `spans`"),
    (lambda pair: replace(pair, spans=(((0, 1000),), ((0, 1000),))), r"a span of pair 0 of kind colour is \(0, 1000\)"),
    (lambda pair: replace(pair, where=pair.where[1:]), r"`where` of pair 0 of kind colour is \[31, 32\]"),
]


@pytest.mark.parametrize(("change", "says"), PAIRS)
def test_faults_of_contrast_pairs(change, says):
    with pytest.raises(CheckFailed, match=rf"(?s)fails the check 'pairs_differ_where_said'.*{says}"):
        one("pairs_differ_where_said", pairs_changed(change), SCENES)()
