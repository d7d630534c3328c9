"""Text through the tokenizer of a pretrained Hugging Face model."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from vlobj_data import tiny
from vlobj_data.counting import caption, captions, clean, shares, words
from vlobjectives import (
    FieldSpec,
    Ids,
    Length,
    PathOrName,
    Reader,
    ReaderConfig,
    Substitute,
    TokenEncoding,
    hub_asked,
    hub_missing,
)
from vlobjectives.errors import DataError

ROLES = {
    "begin": ("bos_token_id", "cls_token_id"),
    "end": ("eos_token_id", "sep_token_id"),
    "pad": ("pad_token_id",),
    "mask": ("mask_token_id",),
    "unknown": ("unk_token_id",),
}
NEEDED = ("begin", "end", "pad")
FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model")
"""Of which a tokenizer that was fetched before has one."""
MEND = "give a folder with tokenizer.json, or fetch it while there is a network"

Id = Annotated[int, Field(ge=0, lt=2**24)]


class HuggingFace(Reader):
    """Fast tokenizer of the transformers library, from a folder or the hub.

    Begin, end and padding are added by the host.

    Special ids are the tokenizer's: begin is its bos or cls, end its eos or sep. What has no begin or no padding, as
    GPT-2's and Qwen's, begins or pads with its end (GPT-2 itself begins so, and nobody looks at padding). A mask id is
    optional, until a mask of words asks for it. `spec.vocabulary` is the tokenizer's length, added tokens included.
    Text that spells a special token ("[MASK]", "</s>") is text. Spans leave blanks in front out.
    """

    class Config(ReaderConfig):
        name: PathOrName = Field(min_length=1, description="a folder with tokenizer.json, or a hub id")
        length: Annotated[Length, Field(ge=3)] = Field(description="ids a sequence has at most, begin and end counted")
        vocabulary: Ids | None = Field(
            None,
            description="the tokenizer's length; said here (with `special`) so "
            "that a plan needs no tokenizer, and held against it in a run",
        )
        special: dict[Literal["begin", "end", "pad", "mask", "unknown"], Id] | None = Field(
            None, description="the tokenizer's special ids by role; as `vocabulary`"
        )

        def tiny(self) -> Substitute:
            return Substitute("byte_pair", tiny.vocabulary(getattr(self, "length", None)))

    @classmethod
    def described(cls, config: Config) -> FieldSpec | None:
        """What the field will be, as far as the recipe says it; no file is opened."""
        if config.vocabulary is None or config.special is None:
            return None
        special: dict[str, int] = {role: number for role, number in config.special.items()}
        return FieldSpec("tokens", (config.length,), vocabulary=config.vocabulary, special=special)

    def __init__(self, config: Config, **shared: Reader):
        super().__init__(config, **shared)
        if "with" in shared:
            raise self.cannot("hugging_face brings a vocabulary of its own", "leave out `with`")
        whole = self._found(config.name)
        if not whole.is_fast:
            raise self.cannot(
                f"'{config.name}' has no fast tokenizer, so where pieces lie in a text is not known",
                "save it with tokenizer.json",
            )
        special = _special(whole)
        if not _vocabulary(whole):
            raise self.cannot(
                f"the tokenizer '{config.name}' knows no words: there is no vocabulary, and all that it "
                "would read were unknown",
                MEND,
            )
        if missing := [role for role in NEEDED if role not in special]:
            raise self.cannot(
                f"the tokenizer '{config.name}' has no token for {', '.join(missing)}",
                f"add to it one of {', '.join(name[:-3] for role in missing for name in ROLES[role])}",
            )
        self._take(whole.backend_tokenizer, len(whole), special)
        self._refuse_control(whole.all_special_tokens, {special[role] for role in special if role != "unknown"})
        for key, said, found in (("vocabulary", config.vocabulary, len(whole)), ("special", config.special, special)):
            if said is not None and said != found:
                raise self.cannot(
                    f"{key}: {said} is not that of '{config.name}', {found}", "correct it, or leave it out"
                )

    def _found(self, name: str) -> Any:
        """The tokenizer of a folder, or of the hub where it was fetched before or the hub answers."""
        if not Path(name).exists():
            if name.startswith((".", "/", "~")) or name.count("/") > 1:
                raise self.cannot(f"there is no folder '{name}' to read a tokenizer from", MEND)
            if why := hub_missing(name, FILES):
                raise self.cannot(f"no tokenizer '{name}': {why}", MEND)
        try:
            with hub_asked():
                return AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        except Exception as error:  # whatever transformers, tokenizers and the hub's client raise
            why = _first_line(error)
            if "trust_remote_code" in str(error):
                why = "it brings code of its own, which is never run"
            elif Path(name).is_dir() and not any((Path(name) / file).exists() for file in FILES):
                why = "the folder holds no vocabulary"
            raise self.cannot(f"no tokenizer '{name}': {why}", MEND) from None

    def _take(self, tokenizer: Tokenizer, vocabulary: int, special: Mapping[str, int]) -> None:
        self._tokenizer, self._saved = tokenizer, tokenizer.to_str()
        self._print = hashlib.sha256(self._saved.encode()).hexdigest()
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        self._spec = FieldSpec("tokens", (self.config.length,), vocabulary=vocabulary, special=dict(special))

    @classmethod
    def restored(cls, config: Config, state: Mapping[str, Any], **shared: Reader) -> Reader:
        """From the tokenizer that `state` holds, where the recipe still names that one: its folder may be gone."""
        saved = state.get("saved", {})
        if saved.get("name") != config.name:  # another one, or a run of before, which did not save it
            return super().restored(config, state, **shared)
        made = cls.__new__(cls)
        Reader.__init__(made, config, **shared)
        made._take(Tokenizer.from_str(saved["tokenizer"]), saved["vocabulary"], saved["special"])
        made.load(state)
        return made

    @property
    def spec(self) -> FieldSpec:
        """After `fit`, `share` holds how often each id was among the training pieces that fit into `length`."""
        return self._spec

    def fit(self, rows: Iterable[str | list[str]]) -> None:
        """Counts how often each id occurs; the pieces themselves are given."""
        count = shares(self._tokenizer, captions(rows), self._spec.vocabulary, self.config.length - 2)
        if "unknown" in self._spec.special and count[self._spec.special["unknown"]] == 1:
            raise DataError(
                f"every word of the training captions is unknown to the tokenizer '{self.config.name}'",
                "take one that was made for their language",
            )
        self._spec = replace(self._spec, share=count)

    def read(self, value: str) -> TokenEncoding:
        """The pieces of a caption, more than `length` at times; surrogates without a partner are read as U+FFFD."""
        text = clean(caption(value))
        pieces = self._tokenizer.encode(text, add_special_tokens=False)
        return TokenEncoding(
            pieces.ids,
            [(first + (first < last and text[first].isspace()), last) for first, last in pieces.offsets],
            words(pieces),
        )

    def text(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=True).strip()

    def state(self) -> Mapping[str, Any]:
        share = {str(number): part for number, part in enumerate(self._spec.share) if part}
        saved = {
            "name": self.config.name,
            "vocabulary": self._spec.vocabulary,
            "special": self._spec.special,
            "tokenizer": self._saved,
        }
        return {"tokenizer": self._print, "share": share, "saved": saved}

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes back the counts. Raises DataError where the tokenizer is another one than then."""
        if state["tokenizer"] != self._print:
            raise DataError(
                f"'{self.config.name}' is another tokenizer than the one that the field was read with",
                "name the tokenizer of that run",
            )
        share = state["share"]
        self._spec = replace(
            self._spec,
            share=tuple(share.get(str(number), 0.0) for number in range(self._spec.vocabulary)) if share else (),
        )

    def _refuse_control(self, tokens: list[str], special: set[int]) -> None:
        """Raises CannotBuild where a caption could spell a special id."""
        for token in tokens:
            if special & set(self._tokenizer.encode(f"a {token} b", add_special_tokens=False).ids):
                raise self.cannot(
                    f"'{self.config.name}' reads the text '{token}' in a caption as its special id",
                    "take a tokenizer that splits it",
                )


def _special(tokenizer: Any) -> dict[str, int]:
    """Ids by role, of the roles that the tokenizer has a token for; its end begins and pads where it has no other."""
    given = {role: [getattr(tokenizer, name, None) for name in names] for role, names in ROLES.items()}
    found = {
        role: next(number for number in numbers if number is not None)
        for role, numbers in given.items()
        if any(number is not None for number in numbers)
    }
    return found | {role: found["end"] for role in ("begin", "pad") if role not in found and "end" in found}


def _vocabulary(tokenizer: Any) -> bool:
    """Whether a tokenizer knows anything but its special tokens; without its files transformers makes one that does
    not."""
    words = set(tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False)) - set(tokenizer.all_special_tokens)
    return any(letter.isalnum() for word in words - set(tokenizer.get_added_vocab()) for letter in word)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
