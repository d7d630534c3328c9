"""Which passes of a plan become rows of one: those of one part whose inputs have one shape."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence

from vlobjectives.contracts.passes import Key, View
from vlobjectives.contracts.stacked import StackedView
from vlobjectives.contracts.views import EncodedView
from vlobjectives.planning.node import PlanNode

Alike = Callable[[EncodedView], Hashable | None]
"""What two passes of an encoder have in common that may be rows of one; None: this one stays by itself."""
Node = PlanNode[Key]


def with_stacks(work: Sequence[Node], needs: Mapping[Key, Collection[Key]], alike: Alike) -> tuple[Node, ...]:
    """The same work with passes stacked that are alike, give the same and train alike, each after what it needs.

    needs  key -> the keys that must have run before it

    A stack runs once what all of its inputs need is there. Where that waits for one of them (a mask of one input that
    looks at another), the inputs stay by themselves.
    """
    apart: set[Key] = set()
    while True:
        waiting, done, ordered = _units(work, alike, apart), set[Key](), list[Node]()
        while ready := next((unit for unit in waiting if done.issuperset(_needed(unit, needs))), None):
            waiting.remove(ready)
            done.update(node.key for node in ready)
            ordered.append(_stack(ready))
        if not waiting:
            return tuple(ordered)
        apart.update(node.key for node in next(unit for unit in waiting if len(unit) > 1))


def _units(work: Sequence[Node], alike: Alike, apart: Collection[Key]) -> list[list[Node]]:
    """What runs at once, by its first entry; `apart`: keys that stay by themselves."""
    units: dict[Hashable, list[Node]] = {}
    for node in work:
        units.setdefault(node.key if node.key in apart else _likeness(node, alike), []).append(node)
    return list(units.values())


def _likeness(node: Node, alike: Alike) -> Hashable:
    """What an entry has in common with those that may be rows of its pass; its own key where there are none."""
    key = node.key
    like = alike(key) if isinstance(key, EncodedView) else None
    return (
        key if like is None or not isinstance(key, View) else (key.part, key.averaged, node.trained, node.reading, like)
    )


def _needed(unit: Iterable[Node], needs: Mapping[Key, Collection[Key]]) -> set[Key]:
    return {key for node in unit for key in needs.get(node.key, ())}


def _stack(unit: Sequence[Node]) -> Node:
    first = unit[0]
    views = tuple(node.key for node in unit if isinstance(node.key, EncodedView))
    if len(unit) == 1:
        return first
    consumers = tuple(dict.fromkeys(consumer for node in unit for consumer in node.consumers))
    key: View = StackedView(views[0].part, views, averaged=views[0].averaged)
    return PlanNode(key, first.reading, consumers, first.trained)
