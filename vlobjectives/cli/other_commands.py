"""Options and verbs as other programs call them: what was meant on a command line that typer refuses."""

import sys
from collections.abc import Sequence
from typing import Any

USAGE = 2
"""The exit code of a command line that is wrong."""
_VERBS = {
    "run RECIPE": "train fit pretrain start launch finetune resume continue",
    "eval RUN": "evaluate test score metrics val",
    "data FILE": "inspect dataset head stats preview",
    "check RECIPE": "validate lint verify dry-run dryrun",
    "recipes, plugins or plugins NAME": "list ls show info describe objectives models help-plugins",
    "caption RUN IMAGE": "infer predict generate inference write",
    "recipes copy NAME": "copy init create",
    "new KIND NAME": "scaffold template generate cookiecutter startplugin create-plugin new-plugin",
    "plan RECIPE": "cost costs flops profile summary",
    "sweep FILE": "grid ablate ablation search",
    "--version": "version",
    "--help": "help",
}
_RECIPE = {"config", "cfg", "conf", "recipe", "config-file", "config-name", "c", "f", "file"}


def meant(command: Any, arguments: Sequence[str] | None) -> str:
    """How to write the first option or verb that `vlobj` does not have; empty where nothing is known of it."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    verb = next((word for before, word in zip(["", *words], words) if not word.startswith("-") and before != "-p"), "")
    if verb and verb not in command.commands:
        if verb.endswith((".yaml", ".yml")):
            return f"say what to do with it: vlobj run {verb}, or check, plan"
        return next((f"vlobj {ours}" for ours, theirs in _VERBS.items() if verb.lower() in theirs.split()), "")
    own = {
        option for one in (command, command.commands.get(verb)) if one for param in one.params for option in param.opts
    }
    for word in words[: words.index("--")] if "--" in words else words:
        option, _, value = word.partition("=")
        name = option.lstrip("-")
        if not option.startswith("-") or option in own or not name:
            continue
        if name in _RECIPE:
            return f"the recipe stands behind the verb: vlobj {verb or 'run'} {value or 'FILE.yaml'}"
        from vlobjectives.recipe import known_keys
        from vlobjectives.recipe.synonyms import key

        path = tuple(name.split("."))
        if len(path) > 1 and path[0] in known_keys.keys(()):
            return f"a change of the recipe has no dashes: {name}={value or 'VALUE'}"
        return key((name,), known_keys.keys(()))
    return ""
