"""What a caption says, as data, and whether it is true of a scene. The proof of a split's uniqueness rests on this."""

from typing import NamedTuple

from vlobj_data.scenes.world import Scene, Thing

RELATIONS = ("left of", "right of", "above", "below")


class Mention(NamedTuple):
    """A thing as a caption speaks of it; None where the caption is silent. Shape and colour are always said."""

    shape: int
    colour: int
    size: int | None = None
    pattern: int | None = None
    row: int | None = None
    column: int | None = None
    motion: int | None = None

    def bare(self) -> "Mention":
        """The mention without place and motion: attributes alone."""
        return Mention(self.shape, self.colour, self.size, self.pattern)


class Claims(NamedTuple):
    """All that a caption says.

    mentions   the things it names
    relations  (first mention, one of RELATIONS, second mention)
    total      how many things there are, if it says so
    large      how many of them are large, if it says so
    moving     how many of them move, if it says so
    bare_row   a row (0 above, 1 below) in which there is nothing, if it says so
    """

    mentions: tuple[Mention, ...]
    relations: tuple[tuple[int, str, int], ...] = ()
    total: int | None = None
    large: int | None = None
    moving: int | None = None
    bare_row: int | None = None


def fits(claims: Claims, scene: Scene) -> bool:
    """Whether everything that a caption claims is true of a scene, which may hold more than the caption names.

    A scene has at most one thing of a shape and colour, so each mention has at most one referent.
    """
    things = scene.things
    if claims.total is not None and claims.total != len(things):
        return False
    meant: list[Thing] = []
    for mention in claims.mentions:
        for thing in things:
            if thing.shape == mention.shape and thing.colour == mention.colour:
                break
        else:
            return False
        if not _agrees(mention, thing):
            return False
        meant.append(thing)
    if claims.large is not None and claims.large != sum(thing.size == 1 for thing in things):
        return False
    if claims.moving is not None and claims.moving != sum(thing.motion > 0 for thing in things):
        return False
    if claims.bare_row is not None and any(thing.row == claims.bare_row for thing in things):
        return False
    return all(holds(meant[first], word, meant[second]) for first, word, second in claims.relations)


def _agrees(mention: Mention, thing: Thing) -> bool:
    return (
        (mention.size is None or mention.size == thing.size)
        and (mention.pattern is None or mention.pattern == thing.pattern)
        and (mention.row is None or mention.row == thing.row)
        and (mention.column is None or mention.column == thing.column)
        and (mention.motion is None or mention.motion == thing.motion)
    )


def holds(a: Thing, word: str, b: Thing) -> bool:
    """Whether a is `left of`, `right of`, `above`, `below` b. Things keep to their cells, so the cells decide."""
    if word == "left of":
        return a.column < b.column
    if word == "right of":
        return a.column > b.column
    return a.row < b.row if word == "above" else a.row > b.row
