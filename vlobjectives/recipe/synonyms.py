"""Keys as other frameworks call them, and keys that stand elsewhere: where a recipe says the same."""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from vlobjectives.recipe import hints, known_keys
from vlobjectives.recipe.dump import dump_data
from vlobjectives.recipe.yaml import KeyPath, dotted

SECTIONS = (
    *("data", "fields", "model", "inputs", "masks", "pairings", "objectives"),
    *("balance", "optim", "run", "plan", "evaluate"),
)
MOST = 3
"""Places that are named for a key that stands at several."""

_ELSEWHERE = {
    "run.steps=N; training is counted in steps: E epochs of S samples are E x S / data.batch": "epoch epochs "
    "num_epochs n_epochs max_epochs num_train_epochs train_epochs nepochs",
    "run.steps=N": "max_steps total_steps num_steps n_steps iterations iters n_iters max_iters num_iterations max_iter "
    "train_steps max_train_steps num_training_steps train_iters training_steps",
    "optim.lr=1e-3": "lr learning_rate base_lr peak_lr max_lr init_lr initial_lr blr eta",
    "optim.schedule.floor=0.05, the rate at the end as a share of optim.lr": "min_lr lr_min end_lr final_lr eta_min",
    "optim.weight_decay=0.01": "weight_decay wd decay l2 weightdecay",
    "optim.betas=[0.9, 0.98]": "beta beta1 beta2 betas adam_beta1 adam_beta2 adam_betas momentum",
    "optim.eps=1e-8": "epsilon adam_epsilon adam_eps",
    "optim.schedule.warmup=N; a whole number is steps, one with a point a share of the run": "warmup "
    "warmup_steps num_warmup_steps warmup_iters warmup_ratio warmup_epochs lr_warmup_steps warm_up",
    "optim: {schedule: {warmup: 0, then: cosine}}": "scheduler lr_scheduler lr_schedule lr_scheduler_type sched "
    "lr_policy lr_decay decay_type",
    "optim: {lr: 1e-3}, which is AdamW": "optimizer optimizers optimizer_type optimizer_config opt solver adam adamw",
    "optim.clip=1.0": "grad_clip clip_grad clip_grad_norm max_grad_norm max_norm gradient_clip_val gradient_clipping "
    "gradient_clip clip_norm grad_norm",
    'optim.groups=[{match: "model.PART.*", lr: 0.1}], factors on optim.lr': "param_groups parameter_groups paramwise "
    "paramwise_cfg layer_decay lr_mult layerwise_lr_decay",
    'optim.groups=[{match: "model.PART.*", lr: 0}]': "freeze frozen freeze_vision freeze_text freeze_backbone "
    "trainable lock_image lock_text requires_grad",
    "data.batch=N": "batch_size batchsize bs train_batch_size global_batch_size total_batch_size",
    "data.micro_batch=N, the pairs that a process passes at once": "micro_batch_size per_device_train_batch_size "
    "per_gpu_batch_size batch_size_per_gpu batch_per_gpu per_device_batch_size microbatch",
    "data.micro_batch=data.batch / (processes x N)": "gradient_accumulation gradient_accumulation_steps grad_accum "
    "accumulate_grad_batches accum_iter accum_steps grad_accum_steps accumulation_steps accum_freq",
    "data.workers=N": "num_workers n_workers dataloader_num_workers loader_workers nworkers workers_per_gpu",
    "run.device=cuda; several GPUs: `vlobj run ... --nproc N`": "gpu gpus gpu_id gpu_ids cuda accelerator use_cuda "
    "use_gpu device_ids no_cuda",
    "`vlobj run ... --nproc N`": "devices num_gpus n_gpu n_gpus nproc_per_node world_size num_processes num_nodes "
    "num_devices distributed ddp strategy",
    "run.precision=auto, or fp32, bf16, fp16": "fp16 bf16 fp32 amp use_amp mixed_precision half dtype torch_dtype "
    "data_type autocast",
    "run.folder=FOLDER for all runs, or `vlobj run ... --out FOLDER` for this one": "output output_dir out_dir outdir "
    "out save_dir save_path savedir log_dir logdir logs exp_dir work_dir workdir default_root_dir output_path "
    "checkpoint_dir ckpt_dir run_dir results_dir",
    "run.name=NAME": "exp_name experiment experiment_name run_name exp project job_name",
    "`vlobj run FOLDER`, which goes on with the run in it": "resume resume_from resume_path auto_resume "
    "resume_from_checkpoint restart",
    "init=RUN for the weights of a run, model.PART.weights=... for published weights of a part": "pretrained "
    "pretrained_weights init_from init_weights init_checkpoint load_from load_checkpoint checkpoint_path ckpt "
    "ckpt_path pretrained_model pretrain checkpoint_file finetune_from",
    "run.checkpoint: {steps: N, keep: 2}": "save_every save_steps save_interval save_freq save_frequency save_epochs "
    "checkpoint_every checkpoint_interval checkpoint_freq ckpt_every save_total_limit save_top_k checkpoints "
    "checkpointing snapshot",
    "evaluate.every: {steps: N}": "eval_every eval_steps eval_interval eval_freq evaluation_strategy eval_strategy "
    "val_every val_interval val_check_interval evaluate_every val_freq validate_every eval_epochs",
    "run.log.steps=N": "log_every log_steps log_interval log_freq logging_steps print_freq print_every logging "
    "log_every_n_steps display_interval",
    "seed=N, at the top": "random_seed manual_seed rng_seed seeds",
    "data: {type: SOURCE, ...}; `vlobj plugins` lists sources": "dataset datasets data_path data_dir dataset_name "
    "data_root train_data train_file train_path dataloader loader train source sources",
    "an option of the source, such as data.image_size=224": "img_size image_res input_size resolution image_resolution",
    "fields: {caption: {type: READER, ...}}; `vlobj plugins` lists readers": "tokenizer tokenizers tokenizer_name "
    "vocab vocabulary text_field text_column caption_column readers reader columns",
    "the reader's length: fields.caption.length=N": "max_length max_len max_seq_length max_seq_len context_length "
    "seq_len sequence_length max_txt_len num_tokens",
    "objectives: {NAME: {weight: 1.0}}": "loss losses criterion loss_weights objective tasks loss_fn pretraining_tasks "
    "training_objectives",
    "evaluate: {NAME: {...}}; `vlobj plugins` lists evaluations": "eval evals evaluation evaluations metrics metric "
    "evaluator evaluators validation val test validate",
    "model: {NAME: {type: PART, ...}}": "models encoder encoders backbone arch architecture network model_name "
    "model_type model_config parts vision_encoder text_encoder image_encoder",
    "plan.checkpoint=[PART]": "gradient_checkpointing activation_checkpointing grad_checkpointing use_checkpoint "
    "recompute remat grad_checkpoint",
    "run.compile=parts": "torch_compile compile_model use_compile",
    "run.ema.decay=0.996": "ema_decay model_ema use_ema ema_rate averaging momentum_encoder",
    "extends: FILE.yaml, at the top of a file": "base _base_ base_config defaults inherit inherits parent include "
    "includes imports extend from",
    "plugins: [./FILE.py], at the top": "plugin custom_imports modules import",
    "masks: {NAME: {type: MASK, ...}}": "mask masking mask_ratio mask_strategy corruption",
    "pairings: {NAME: {type: PAIRING}}": "pairing negatives hard_negatives negative_mining sampler",
    "trackers: {NAME: {type: TRACKER}}": "tracker logger loggers report_to wandb tensorboard mlflow",
    "balance: {type: uncertainty}": "balancer loss_balancing loss_balancer loss_weighting task_weighting weighting "
    "uncertainty_weighting gradnorm grad_norm_balancing pcgrad gradient_surgery multi_task multitask mtl",
    "inputs: {NAME: {fields: [...], part: ENCODER}}": "input",
    "run: {steps: N}": "trainer training train_cfg training_args train_config schedule_cfg",
}
_VALUES = {
    "run.device": {"cuda": "gpu gpus nvidia true", "cpu": "false"},
    "run.precision": {
        "fp16": "16 float16 half 16-mixed fp16-mixed",
        "bf16": "bfloat16 bf16-mixed brain",
        "fp32": "32 float32 float full single 32-true false",
        "auto": "mixed amp true",
    },
    "run.compile": {"parts": "true yes on all model default reduce-overhead", "none": "false no off"},
    "optim.schedule.then": {"constant": "const flat none", "linear": "lin", "cosine": "cos cosineannealing"},
    "optim.type": {"adamw": "adam adam_w adam-w sgd lamb"},
}
_WORDS = {word: place for place, words in _ELSEWHERE.items() for word in words.split()}


def key(path: KeyPath, here: Sequence[str]) -> str:
    """What was meant by an unknown key at `path`: a word of other frameworks, a key of `here` that is spelt like it, or
    a key of another section. Empty where nothing is known of it."""
    word, near = _word(path), get_close_matches(str(path[-1]), here, 1)
    places = list(dict.fromkeys(_places(word)))
    if (word,) in places:
        return f"`{word}` stands at the top of a recipe"
    if word in _WORDS and word not in {place[-1] for place in places}:
        return f"here that is {_WORDS[word]}"
    if near:
        return f"did you mean '{near[0]}'?"
    return f"did you mean {' or '.join(map(dotted, places))}?" if 0 < len(places) <= MOST else ""


def means(path: KeyPath, other: KeyPath) -> bool:
    """Whether an unknown key at `path` probably means the known one at `other`."""
    there = _WORDS.get(_word(path), "").partition("=")[0]
    return there == dotted(other) or (
        path[:-1] == other[:-1] and bool(get_close_matches(str(path[-1]), [str(other[-1])], 1))
    )


def _word(path: KeyPath) -> str:
    return str(path[-1]).lower().replace("-", "_")


def _places(word: str) -> Iterator[KeyPath]:
    """Key paths that end so, of those that the host knows and that stand in every recipe."""
    for section in known_keys.keys(()):
        if section == word:
            yield (section,)
        for key in known_keys.keys((section,)):
            if key == word and section in SECTIONS:
                yield (section, key)
            yield from ((section, key, inner) for inner in known_keys.keys((section, key)) if inner == word)


def mapping(path: KeyPath, value: Any) -> str:
    """The mapping that was probably meant where something else stands, as YAML; empty where nothing is known.

    A list of names is that many entries, a name alone the plug-in, a number how often or how long.
    """
    key, entry, keys = str(path[-1]), known_keys.is_entry(path), known_keys.keys(path)
    holds = known_keys.holds_entries(path) or path == ("evaluate",)
    if isinstance(value, list) and value and holds and all(isinstance(one, str | dict) for one in value):
        named = {name: inner for one in value for name, inner in (one if isinstance(one, dict) else {one: {}}).items()}
        line = dump_data({key: named}, flow=True).strip()[1:-1]
        return line if "\n" not in line else f"{key}: a mapping of names, {', '.join(named)}, without the dashes"
    if isinstance(value, str) and holds:
        return f"{key}: {{{value}: {{}}}}"
    if isinstance(value, str) and entry:
        return f"{key}: {{type: {value}}}"
    if isinstance(value, bool) and entry:
        return f"{key}: {{}}" if value else f"leave it out, or with `extends`: {key}: null"
    if isinstance(value, str):
        choice = next((name for name in keys if _chooses(known_keys.field((*path, name)), value)), "")
        return f"{key}: {{{choice}: {value}}}" if choice else ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        unit = "share" if isinstance(value, float) else "steps"
        return next((f"{key}: {{{name}: {value}}}" for name in (unit, "weight") if name in keys), "")
    return ""


def _chooses(field: Any, value: str) -> bool:
    return field is not None and get_origin(field.annotation) is Literal and value in get_args(field.annotation)


def value(path: KeyPath, value: Any) -> str:
    """The line with the value that was probably meant by another word for it; empty where nothing is known."""
    word = str(value).lower()
    if word in ("none", "null", "nil") and (field := known_keys.field(path)) is not None and hints.takes(field, None):
        return f"{path[-1]}: null"
    if path == ("run", "device") and isinstance(value, list):
        return f"device: cuda, and `--nproc {len(value)}` for as many GPUs"
    if path == ("run", "device") and (found := re.fullmatch(r"(?:cuda|gpu)?[\s:_]*(\d+)", word)):
        return f"device: cuda:{found[1]}"
    ours = next((ours for ours, theirs in _VALUES.get(dotted(path), {}).items() if word in theirs.split()), None)
    return f"{path[-1]}: {ours}  # {known_keys.description(path)}" if ours else ""
