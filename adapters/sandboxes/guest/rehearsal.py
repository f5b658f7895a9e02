"""Has the libraries do once, in the warm parent, what takes long only the first time.

sympy and scipy import parts of themselves and fill caches at first use: the first `solve` takes 15
times as long as the second. Every child inherits what is loaded here, and none can change it.
"""

from __future__ import annotations

from collections.abc import Callable


def rehearse(packages: tuple[str, ...]) -> None:
    """Exercise the named packages, as far as there is an exercise for them."""
    for package in packages:
        exercise = _EXERCISES.get(package)
        if exercise is not None:
            exercise()


def _sympy() -> None:
    import sympy  # type: ignore[import-untyped, unused-ignore]

    x, y = sympy.symbols("x y")
    sympy.solve(x**2 - 2, x)
    sympy.solve([x + y - 3, x - y - 1], [x, y])
    sympy.solve(x**2 - 4 < 0, x)
    sympy.solveset(x**2 - 4, x)
    sympy.simplify((x**2 + 2 * x + 1) / (x + 1))
    sympy.trigsimp(sympy.sin(x) ** 2 + sympy.cos(x) ** 2)
    sympy.factor(x**3 - 1)
    sympy.integrate(x**2 * sympy.sin(x), x)
    sympy.limit(sympy.sin(x) / x, x, 0)
    sympy.series(sympy.exp(x), x, 0, 3)
    sympy.summation(x, (x, 1, 10))
    sympy.sympify("x**2 + sqrt(3)/2")
    sympy.Matrix([[1, 2], [3, 4]]).inv()
    sympy.N(sympy.sqrt(2))
    sympy.factorint(1_234_567)


def _pandas() -> None:
    import pandas as pd  # type: ignore[import-untyped, unused-ignore]

    frame = pd.DataFrame({"a": [1, 2, 2], "b": [1.5, 2.5, 3.5], "c": ["x", "y", "y"]})
    frame.groupby("c")["b"].mean()
    frame.merge(frame, on="a")
    frame.sort_values("b").describe()
    frame["a"].sum()
    repr(frame)
    pd.to_datetime(["2024-01-02"])


def _numpy() -> None:
    import numpy as np

    square = np.array([[2.0, 1.0], [1.0, 3.0]])
    np.linalg.solve(square, np.ones(2))
    np.random.default_rng(0).normal(size=3)
    repr(square @ square)


def _scipy() -> None:
    from scipy import optimize, stats

    def line(at: float) -> float:
        return at - 1

    optimize.brentq(line, 0, 2)
    optimize.linprog([1.0], bounds=[(0, 1)])
    stats.norm.cdf(1.0)


_EXERCISES: dict[str, Callable[[], None]] = {
    "numpy": _numpy,
    "pandas": _pandas,
    "scipy": _scipy,
    "sympy": _sympy,
}
