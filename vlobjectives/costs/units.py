"""Numbers of a plan as a person reads them."""

from vlobjectives.costs.plan_costs import Costs

GIGA, TERA = 1e9, 1e12


def _sample(costs: Costs, flops: int) -> float:
    return flops / costs.micro_batch


def _flops(costs: Costs, flops: int) -> tuple[str, str]:
    """GFLOP a sample, TFLOP a step."""
    sample = _sample(costs, flops)
    return _number(sample / GIGA), _number(sample * costs.batch / TERA)


def _number(value: float) -> str:
    if value >= 10:
        return f"{value:,.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}" if value >= 1e-4 else "~0"


def flop(value: float) -> str:
    """FLOPs as a person reads them: 49.8 TFLOP."""
    for size, name in ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.3g} FLOP"


def sized(value: float) -> str:
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:.1f} {name}" if value < 100 * size else f"{value / size:.0f} {name}"
    return f"{value:.0f} B" if value else ""


def _count(value: float) -> str:
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f} {name}"
    return f"{value:.0f}"
