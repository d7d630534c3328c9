"""Keys and types: defaults that go without saying, and a good message for everything that people get wrong."""

import pytest

from vlobjectives.recipe import load
from vlobjectives.recipe.schema import prepared


@pytest.mark.parametrize(
    "old, new, at, what, hint",
    [
        # keys
        ("optim:", "optimm:", ("optimm", 13, 1), "there is no key 'optimm' here", "did you mean 'optim'?"),
        ("steps: 100", "step: 100", ("run.step", 17, 7), "there is no key 'step' here", "did you mean 'steps'?"),
        (
            "warmup: 6",
            "zzz: 6",
            ("optim.schedule.zzz", 15, 14),
            "there is no key 'zzz' here",
            "keys here: warmup, then, floor",
        ),
        (
            "lr: 0.1}",
            "weight_dec: 0}",
            ("optim.groups.0.weight_dec", 16, 36),
            "no key 'weight_dec'",
            "did you mean 'weight_decay'?",
        ),
        ("  lr: 1e-3\n", "", ("optim.lr", 13, 1), "the key 'lr' is missing", "give it: learning rate"),
        ("run: {steps: 100}", "run: {}", ("run.steps", 17, 1), "the key 'steps' is missing", "optimiser steps"),
        ("data: {type: scenes, batch: 8}\n", "", ("data", 2, 1), "the key 'data' is missing", "a source of samples"),
        ("type: scenes, ", "", ("data.type", 2, 1), "the key 'type' is missing", "the source of samples"),
        (
            "run: {",
            "inputs: {video: {part: vision}}\nrun: {",
            ("inputs.video.fields", 17, 10),
            "is missing",
            "in this order",
        ),
        ("  itc:", "  i-t-c:", ("objectives.i-t-c", 11, 3), "'i-t-c' is no name", "letters, digits and _"),
        ("  dropped:", "  9lives:", ("masks.9lives", 9, 3), "'9lives' is no name", "no digit first"),
        # numbers
        ("lr: 1e-3", "lr: fast", ("optim.lr", 14, 7), '"fast" must be a number', "learning rate"),
        ("lr: 1e-3", "lr: '1e-3'", ("optim.lr", 14, 7), '"1e-3" must be a number', "write 1e-3, without quotes or _"),
        ("lr: 1e-3", "lr: -1.0", ("optim.lr", 14, 7), "-1.0 must be greater than 0", "learning rate"),
        ("lr: 1e-3", "lr: true", ("optim.lr", 14, 7), "true must be a number", "learning rate"),
        ("lr: 1e-3", "lr:", ("optim.lr", 14, 6), "null must be a number", "learning rate"),
        ("batch: 8", "batch: 8.5", ("data.batch", 2, 29), "8.5 must be a whole number", "pairs per optimiser step"),
        ("batch: 8", "batch: 8.0", ("data.batch", 2, 29), "8.0 must be a whole number", "pairs per optimiser step"),
        (
            "batch: 8",
            "batch: 1_000",
            ("data.batch", 2, 29),
            '"1_000" must be a whole number',
            "write 1000, without quotes or _",
        ),
        ("batch: 8", "batch: 0", ("data.batch", 2, 29), "0 must be greater than or equal to 1", "pairs"),
        ("batch: 8", "batch: 8, max_bad: 2", ("data.max_bad", 2, 41), "2 must be less than or equal to 1", "share of"),
        ("run: {", "seed: -1\nrun: {", ("seed", 17, 7), "-1 must be greater than or equal to 0", "seed"),
        ("run: {", "seed: true\nrun: {", ("seed", 17, 7), "true must be a whole number", "seed"),
        # times and weights
        ("warmup: 6", "warmup: 1.5", ("optim.schedule.warmup", 15, 22), "less than or equal to 1", "share of the run"),
        (
            "warmup: 6",
            "warmup: soon",
            ("optim.schedule.warmup", 15, 22),
            "a whole number or a number",
            "whole number = steps",
        ),
        ("itc: {}", "itc: {weight: heavy}", ("objectives.itc.weight", 11, 17), "must be a number or a list", "points"),
        ("itc: {}", "itc: {weight: -1}", ("objectives.itc.weight", 11, 17), "greater than or equal to 0", "points"),
        ("itc: {}", "itc: {weight: []}", ("objectives.itc.weight", 11, 17), "[] must be", "points"),
        ("[0.75, 0.2]", "[0.75, x]", ("objectives.mgsc.weight.1.1", 12, 57), '"x" must be a number', ""),
        ("[0.75, 0.2]", "[0.75]", ("objectives.mgsc.weight.1.1", 12, 50), "element 1 is missing", "a number, or [time"),
        ("[0.75, 0.2]", "[0.75, 1, 2]", ("objectives.mgsc.weight.1", 12, 50), "at most 2 items", ""),
        (
            "[0.75, 0.2]",
            "[0.25, 0.2]",
            ("objectives.mgsc.weight", 12, 39),
            "the times go backwards: they are steps [50, 25]",
            "in order of time",
        ),
        ("[0.75, 0.2]", "[10, 0.2]", ("objectives.mgsc.weight", 12, 39), "steps [50, 10]", "in order of time"),
        (
            "steps: 100",
            "steps: 100, ema: {decay: 2}",
            ("run.ema.decay", 17, 32),
            "equal to 1 or a list or a mapping",
            "points",
        ),
        (
            "steps: 100",
            "steps: 100, ema: {decay: [[0, 0.9], [1.0, 2]]}",
            ("run.ema.decay.1.1", 17, 49),
            "2 must be less than or equal to 1",
            "points",
        ),
        (
            "steps: 100",
            "steps: 100, ema: {decay: [[1.0, 0.9], [0, 1.0]]}",
            ("run.ema.decay", 17, 32),
            "the times go backwards: they are steps [100, 0]",
            "in order of time",
        ),
        (
            "steps: 100",
            "steps: 100, ema: {decay: {from: 0.9}}",
            ("run.ema.decay.to", 17, 25),
            "the key 'to' is missing",
            "the end of the run",
        ),
        (
            "steps: 100",
            "steps: 100, ema: {decay: {from: 0.9, to: 1.0, over: 3}}",
            ("run.ema.decay.over", 17, 53),
            "there is no key 'over' here",
            "from, to",
        ),
        (
            "itc: {}",
            "itc: {group: some}",
            ("objectives.itc.group", 11, 16),
            "a whole number or one of 'all'",
            "all, or so many",
        ),
        # words, booleans, lists, mappings
        (
            "steps: 100",
            "steps: 100, precision: fp23",
            ("run.precision", 17, 30),
            "must be one of 'auto', 'fp32'",
            "fp32?",
        ),
        ("steps: 100", "steps: 100, device: gpu", ("run.device", 17, 27), "of the form", "auto, cpu, cuda or cuda:N"),
        ("steps: 100", "steps: 100, name: 7", ("run.name", 17, 25), "7 must be text", "name: '7'"),
        ("every:", "losses: yes, every:", ("evaluate.losses", 18, 20), '"yes" must be true or false', "write true"),
        ("every:", "losses: off, every:", ("evaluate.losses", 18, 20), '"off" must be true or false', "write false"),
        ("every:", "losses: {a: 1}, every:", ("evaluate.losses", 18, 20), "true or false", "every objective"),
        ("{gallery: 256}", "256", ("evaluate.retrieval", 18, 43), "256 must be a mapping", "retrieval: {}"),
        ("run: {", "plugins: ./my_loss.py\nrun: {", ("plugins", 17, 10), "must be a list", "write [./my_loss.py]"),
        (
            "schedule: {warmup: 6}",
            "schedule: [6]",
            ("optim.schedule", 15, 13),
            "[6] must be a mapping",
            "learning rate over",
        ),
        ("  lr: 1e-3", "  lr: 1e-3\n  betas: [0.9]", ("optim.betas.1", 15, 10), "element 1 is missing", "decay of"),
        (
            "  lr: 1e-3",
            "  lr: 1e-3\n  betas: [0.9, 1.0]",
            ("optim.betas.1", 15, 16),
            "1.0 must be less than 1",
            "decay of",
        ),
        ("itc: {}", "itc:", ("objectives.itc", 11, 7), "null takes away an entry", "write {}"),
        ("itc: {}", "itc: 1", ("objectives.itc", 11, 8), "1 must be a mapping", ""),
        # what no single key shows
        (
            "batch: 8",
            "batch: 8, micro_batch: 3",
            ("data.micro_batch", 2, 45),
            "3 does not divide the batch of 8",
            "equal",
        ),
        (
            "every: {steps: 25}",
            "every: {}",
            ("evaluate.every", 18, 19),
            "must be said in one way",
            "either steps: or share:",
        ),
        (
            "steps: 100",
            "steps: 100, checkpoint: {steps: 5, share: 0.1}",
            ("run.checkpoint", 17, 31),
            "in one way",
            "either",
        ),
    ],
)
def test_what_people_get_wrong(problems, old, new, at, what, hint):
    (problem,) = problems(old, new)
    assert (problem.path, problem.place.line, problem.place.column) == at
    assert what in problem.what and hint in problem.hint


def test_all_problems_at_once_in_order_of_place(problems):
    found = problems(
        text="""\
        data: {type: scenes, batch: none}
        model: {}
        objectves: {}
        optim: {lr: 1e-3, clip: no}
        run: {steps: 10, devise: cpu}
        """
    )
    assert [(problem.path, problem.place.line) for problem in found] == [
        ("data.batch", 1),
        ("objectves", 3),
        ("optim.clip", 4),
        ("run.devise", 5),
    ]


def test_a_file_of_one_key_lacks_everything_that_has_no_default(problems):
    assert {problem.path for problem in problems(text="seed: 1")} == {"data", "model", "objectives", "optim", "run"}


def test_types_by_name_and_default_inputs(small):
    recipe = load(small).recipe
    assert recipe.objectives["itc"].type == "itc" and recipe.masks["dropped"].type == "random_patches"
    assert recipe.masks["dropped"].options == {"ratio": 0.8} and recipe.data.options == {}
    assert recipe.inputs["image"].fields == ("image",) and recipe.inputs["image"].part == "vision"
    assert recipe.inputs["text"].fields == ("caption",) and recipe.inputs["text"].part == "text"
    assert recipe.objectives["mgsc"].weight == ((0.5, 0.0), (0.75, 0.2)) and recipe.objectives["itc"].group is None


def test_an_input_keeps_what_it_does_not_say():
    data = prepared({"model": {"vision": {}}, "inputs": {"text": {"mask": "linked"}, "sound": {"part": "ears"}}})
    assert data["inputs"] == {
        "image": {"fields": ["image"], "part": "vision"},
        "text": {"fields": ["caption"], "part": "text", "mask": "linked"},
        "sound": {"part": "ears"},
    }
    assert prepared({"model": {"seer": {}}})["inputs"] == {}  # no default without its encoder


@pytest.mark.parametrize(
    "text, entries, losses",
    [
        ("{}", {}, True),
        ("{retrieval: true, losses: {}}", {"retrieval": {}}, True),
        ("{retrieval: {}, rerank: false, words: null, losses: false}", {"retrieval": {}}, False),
        ("{losses: null, top: {type: rerank, top: 8}}", {"top": {"top": 8}}, False),
    ],
)
def test_evaluations_are_switched(small, text, entries, losses):
    small.write_text(small.read_text("utf-8").replace("{every: {steps: 25}, retrieval: {gallery: 256}}", text), "utf-8")
    evaluate = load(small).recipe.evaluate
    assert {name: entry.options for name, entry in evaluate.entries.items()} == entries and evaluate.losses is losses


def test_times_keep_their_kind(small):
    text = small.read_text("utf-8").replace("[[0.5, 0], [0.75, 0.2]]", "[[0, 0], [1, 1], [1.0, 0.5]]")
    small.write_text(text, encoding="utf-8")
    times = [time for time, _ in load(small).recipe.objectives["mgsc"].weight]
    assert [type(time) for time in times] == [int, int, float]
