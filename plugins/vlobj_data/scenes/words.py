"""Captions of still scenes: five templates, each with the claims that it makes and the place of every phrase.

    0 list       a small red striped circle, a large blue plain square and a small green dotted ring
    1 places     top left a small red circle, bottom right a large blue square
    2 count      there are two objects, one of them large: a red striped circle and a blue plain square
    3 rows       above a small red circle left of a large blue square, below a small green ring on the right
    4 relations  a red striped circle is left of a blue plain square, which is above a green dotted ring

A single thing would leave a list or a row too few words to be told from others, so the caption then says size,
pattern and place, and that there is nothing else. Order of words and choice of relations hang on the scene's
`look` and not on attributes: twins get the same sentence.
"""

from itertools import pairwise
from typing import NamedTuple

from vlobj_data.scenes.claims import RELATIONS, Claims, Mention, holds
from vlobj_data.scenes.dice import Dice, stream
from vlobj_data.scenes.world import COLOURS, PATTERNS, PLACES, SHAPES, SIZES, Scene, Thing

TEMPLATES = 5
NUMBERS = ("none", "one", "two", "three", "four")
_ORDER = stream("order of words")


class Phrase(NamedTuple):
    """A phrase of a caption: its characters `first` to `end` - 1, and the index of the thing that it names."""

    text: str
    first: int
    end: int
    thing: int


class Caption(NamedTuple):
    text: str
    template: int
    phrases: tuple[Phrase, ...]
    claims: Claims


def cut(caption: Caption, word: str) -> Caption:
    """The caption of a single thing cut to one word, its only phrase; the claims stay those of the whole caption."""
    return caption._replace(text=word, phrases=(Phrase(word, 0, len(word), 0),))


class Writer:
    """Puts a caption together and keeps count of where its phrases lie."""

    def __init__(self, scene: Scene):
        self.scene = scene
        self.text = ""
        self.phrases: list[Phrase] = []
        self.mentions: list[Mention] = []

    def say(self, text: str) -> None:
        self.text += text

    def name(
        self,
        index: int,
        size: bool = False,
        pattern: bool = False,
        row: bool = False,
        column: bool = False,
        motion: bool = False,
    ) -> int:
        """Writes `a small red striped circle` for a thing and notes the mention, whose index it returns.

        `size` and `pattern` say what to write; `row`, `column` and `motion` what the words around it will claim.
        """
        thing = self.scene.things[index]
        words = [COLOURS[thing.colour], SHAPES[thing.shape]]
        if pattern:
            words.insert(1, PATTERNS[thing.pattern])
        if size:
            words.insert(0, SIZES[thing.size])
        phrase = " ".join(words)
        first = len(self.text) + 2
        self.say(f"a {phrase}")
        self.phrases.append(Phrase(phrase, first, len(self.text), index))
        self.mentions.append(
            Mention(
                thing.shape,
                thing.colour,
                thing.size if size else None,
                thing.pattern if pattern else None,
                thing.row if row else None,
                thing.column if column else None,
                thing.motion if motion else None,
            )
        )
        return len(self.mentions) - 1

    def join(self, place: int, of: int) -> None:
        """What stands before item `place` of an enumeration: nothing, a comma, or `and`."""
        if place:
            self.say(" and " if place == of - 1 else ", ")

    def done(
        self,
        template: int,
        relations: tuple[tuple[int, str, int], ...] = (),
        total: int | None = None,
        large: int | None = None,
        moving: int | None = None,
        bare_row: int | None = None,
    ) -> Caption:
        claims = Claims(tuple(self.mentions), relations, total, large, moving, bare_row)
        return Caption(self.text, template, tuple(self.phrases), claims)


def caption(scene: Scene, template: int) -> Caption:
    """The caption of a still scene by one of the five templates."""
    if len(scene.things) == 1:
        return _single(scene, template)
    return _MANY[template](scene, Dice(scene.look, _ORDER, template))


def _single(scene: Scene, template: int) -> Caption:
    writer = Writer(scene)
    thing = scene.things[0]
    everything = {"size": True, "pattern": True, "row": True, "column": True}
    place, (row, column) = PLACES[thing.cell], (("above", "below")[thing.row], ("left", "right")[thing.column])
    if template == 0:
        writer.say("only ")
        writer.name(0, **everything)
        writer.say(f" at the {place}")
    elif template == 1:
        writer.say(f"{place} ")
        writer.name(0, **everything)
        writer.say(", nothing else")
    elif template == 2:
        writer.say("there is one object, ")
        writer.name(0, **everything)
        writer.say(f" at the {place}")
    elif template == 3:
        writer.say("nothing above, below only " if row == "below" else "above only ")
        writer.name(0, **everything)
        writer.say(f" on the {column}" + (", nothing below" if row == "above" else ""))
    else:
        writer.name(0, **everything)
        writer.say(f" is alone at the {place}")
    return writer.done(template, total=1)


def _list(scene: Scene, dice: Dice) -> Caption:
    writer, n = Writer(scene), len(scene.things)
    for place, index in enumerate(dice.shuffled(range(n))):
        writer.join(place, n)
        writer.name(index, size=True, pattern=True)
    return writer.done(0)


def _places(scene: Scene, dice: Dice) -> Caption:
    writer, n = Writer(scene), len(scene.things)
    for place, index in enumerate(dice.shuffled(range(n))):
        writer.join(place, n)
        writer.say(f"{PLACES[scene.things[index].cell]} ")
        writer.name(index, size=True, row=True, column=True)
    return writer.done(1)


def _count(scene: Scene, dice: Dice) -> Caption:
    writer, n = Writer(scene), len(scene.things)
    large = sum(thing.size == 1 for thing in scene.things)
    writer.say(f"there are {NUMBERS[n]} objects, {'all' if large == n else NUMBERS[large]} of them large: ")
    for place, index in enumerate(dice.shuffled(range(n))):
        writer.join(place, n)
        writer.name(index, pattern=True)
    return writer.done(2, total=n, large=large)


def _rows(scene: Scene, dice: Dice) -> Caption:
    writer = Writer(scene)
    relations = []
    bare = None
    for row, word in enumerate(("above", "below")):
        members = [index for index, thing in enumerate(scene.things) if thing.row == row]
        writer.say(", " if row else "")
        if not members:
            writer.say(f"nothing {word}")
            bare = row
            continue
        writer.say(f"{word} ")
        if len(members) == 1:
            writer.name(members[0], size=True, row=True, column=True)
            writer.say(f" on the {('left', 'right')[scene.things[members[0]].column]}")
            continue
        turned = dice.chance(0.5)
        side = "right of" if turned else "left of"
        a, b = reversed(members) if turned else members
        first = writer.name(a, size=True, row=True)
        writer.say(f" {side} ")
        relations.append((first, side, writer.name(b, size=True, row=True)))
    return writer.done(3, relations=tuple(relations), bare_row=bare)


def _relations(scene: Scene, dice: Dice) -> Caption:
    writer = Writer(scene)
    order = dice.shuffled(range(len(scene.things)))
    relations = []
    last = writer.name(order[0], pattern=True)
    for place, (a, b) in enumerate(pairwise(order)):
        word = relation(scene.things[a], scene.things[b], dice)
        writer.say(f", which is {word} " if place else f" is {word} ")
        following = writer.name(b, pattern=True)
        relations.append((last, word, following))
        last = following
    return writer.done(4, relations=tuple(relations))


def relation(a: Thing, b: Thing, dice: Dice) -> str:
    """A relation that holds between two things in different cells; of a diagonal one of two by the dice."""
    return dice.pick([word for word in RELATIONS if holds(a, word, b)])


_MANY = (_list, _places, _count, _rows, _relations)
