"""The memory of a step: which storages are alive, who made them, and how much there was at the highest point."""

from collections import Counter

from torch import Tensor
from torch.utils.weak import WeakIdRef


class Storages:
    """Bytes of every storage that was shown to `see` and still lives, by who made it.

    Views share a storage, which counts once; its bytes leave when nothing holds it any more, saved tensors of the
    backward pass included. Works on fake tensors as on real ones. What an operator allocates and frees inside itself
    (a kernel's workspace) is not seen.

    now      bytes alive
    peak     the most that was alive at once; `at_peak`: by maker
    """

    def __init__(self) -> None:
        self.now = 0
        self._peak = 0
        self._at_peak: Counter[str] = Counter()
        self._by_maker: Counter[str] = Counter()
        self._alive: dict[WeakIdRef, tuple[int, str]] = {}

    @property
    def peak(self) -> int:
        self._note()
        return self._peak

    @property
    def at_peak(self) -> Counter[str]:
        self._note()
        return +self._at_peak

    @property
    def alive(self) -> Counter[str]:
        """Bytes alive now, by maker."""
        return +self._by_maker

    def see(self, tensor: Tensor, maker: str) -> None:
        """Takes in the storage of a tensor that an operation returned; a known one stays its first maker's."""
        storage = tensor.untyped_storage()
        ref = WeakIdRef(storage, self._gone)
        if ref not in self._alive:
            size = storage.nbytes()
            self._alive[ref] = size, maker
            self._by_maker[maker] += size
            self.now += size

    def maker(self, tensor: Tensor) -> str | None:
        """Who made the storage of a tensor."""
        return self._alive.get(WeakIdRef(tensor.untyped_storage()), (0, None))[1]

    def _gone(self, ref: WeakIdRef) -> None:
        self._note()
        size, maker = self._alive.pop(ref, (0, ""))
        self._by_maker[maker] -= size
        self.now -= size

    def _note(self) -> None:
        """Memory only falls when something goes, so a peak is looked for just before."""
        if self.now > self._peak:
            self._peak, self._at_peak = self.now, self._by_maker.copy()
