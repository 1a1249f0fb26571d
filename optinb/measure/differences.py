"""Differences of two arms beside those of groups that were drawn by chance, and the effects that these don't refuse.

All follow from sums over the control groups, the real one and the drawn ones. With an effect d of the message, y - d·w
is what customers would have done without it: w is 1 of those who were to get it where each does d more, and y of them
where d is the share of what they do that the message brought. What is compared is a mean, or the ratio of y to another
column x by the delta method; a mean is the ratio to 1 of each customer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HALVINGS = 40
TIE = 1e-9
"""Differences of rounding, within which two draws are the same."""


class Compared(NamedTuple):
    """What is compared of each customer, (customers,) each.

    Attributes:
        y: what they did.
        w: what an effect of 1 adds to it.
        x: what y is told by; None: by customer.
    """

    y: Floats
    w: Floats
    x: Floats | None = None


class Moments:
    """The columns whose sums over a group tell all that is compared; a column that several need is there once."""

    def __init__(self, compared: Sequence[Compared]) -> None:
        self._columns: list[tuple[Floats, ...]] = []
        self._known: dict[tuple[int, ...], int] = {}
        one = np.ones(len(compared[0].y))
        rows = []
        for y, w, x in compared:
            by, ones = one if x is None else x, x is None
            n = self._place(one)
            rows.append(
                (
                    n,
                    n if ones else self._place(by),
                    n if ones else self._place(by, by),
                    self._place(y),
                    self._place(y, y),
                    self._place(y) if ones else self._place(y, by),
                    self._place(w),
                    self._place(w, w),
                    self._place(y, w),
                    self._place(w) if ones else self._place(w, by),
                )
            )
        self._at: NDArray[np.int64] = np.array(rows).T

    def columns(self) -> Iterator[Floats]:
        """Each column (customers,), made when it is asked for: of millions not all fit into memory."""
        for of in self._columns:
            yield of[0] if len(of) == 1 else of[0] * of[1]

    def _place(self, *of: Floats) -> int:
        key = tuple(sorted(map(id, of)))
        if key not in self._known:
            self._known[key] = len(self._columns)
            self._columns.append(of)  # which keeps the arrays, so that no other gets their ids
        return self._known[key]

    def differences(self, control: Floats, total: Floats) -> Differences:
        """The differences of all others from the control groups.

        Args:
            control: (groups x columns) the sums over each, the real one first.
            total: (columns,) over everybody.
        """
        return Differences(*(self._shape(sums) for sums in (control, total - control)))

    def _shape(self, sums: Floats) -> tuple[Floats, ...]:
        """Of y - d·w by x: its ratio for an effect of none and what d takes off, and the same of its variance."""
        n, x, xx, y, yy, xy, w, ww, yw, xw = (sums[:, at] for at in self._at)
        with np.errstate(invalid="ignore", divide="ignore"):
            r, s = y / x, w / x
            k = n / (x * x * np.maximum(n - 1, 1))
            return (
                r,
                s,
                np.maximum(yy - 2 * r * xy + r * r * xx, 0) * k,
                (yw - r * xw - s * xy + r * s * xx) * k,
                np.maximum(ww - 2 * s * xw + s * s * xx, 0) * k,
            )


class Differences:
    """The studentised differences (groups x what is compared) for any effect; the first group is the real one."""

    def __init__(self, control: tuple[Floats, ...], others: tuple[Floats, ...]) -> None:
        r, s, a, b, c = others
        r_, s_, a_, b_, c_ = control
        self._more, self._taken = r - r_, s - s_
        self._variance = a + a_, b + b_, c + c_

    def estimate(self) -> Floats:
        """The effects at which the arms don't differ; nan where no effect makes a difference."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self._more[0] / self._taken[0])

    def p(self) -> Floats:
        """The chance of a difference as far from none on either side."""
        above, below = self._tails(np.zeros(self._more.shape[1]))
        return np.minimum(1.0, 2 * np.minimum(above, below))

    def interval(self, estimate: Floats, tail: float) -> tuple[Floats, Floats]:
        """The least and the largest effects that neither tail refuses, by halving.

        Args:
            estimate: the effects that are refused last.
            tail: the chance on each side, below which an effect is refused.
        """
        _, spread = self._studentised(estimate)
        with np.errstate(invalid="ignore", divide="ignore"):
            step = 2 * spread[0] / abs(self._taken[0])
        step = np.where(np.isfinite(step), step, 0.0)
        found = []
        for side in (-1, 1):
            inside, outside = estimate.copy(), estimate + side * step
            for _ in range(HALVINGS):
                if (is_in := self._holds(outside, side, tail) & (step > 0)).any():
                    inside, outside = np.where(is_in, outside, inside), np.where(is_in, 2 * outside - inside, outside)
                else:
                    break
            open_ended = self._holds(outside, side, tail) & (step > 0)
            for _ in range(HALVINGS):
                if (abs(outside - inside) <= 1e-4 * step).all():
                    break
                middle = (inside + outside) / 2
                is_in = self._holds(middle, side, tail)
                inside, outside = np.where(is_in, middle, inside), np.where(is_in, outside, middle)
            found.append(np.where(open_ended, side * np.inf, (inside + outside) / 2))
        return found[0], found[1]

    def _holds(self, effect: Floats, side: int, tail: float) -> NDArray[np.bool_]:
        above, below = self._tails(effect)
        return (above if side < 0 else below) > tail

    def _tails(self, effect: Floats) -> tuple[Floats, Floats]:
        """The share of groups whose difference is at least as large as the real one, and at most.

        A group of which none is known, such as one without a buyer, counts on both sides.
        """
        t, _ = self._studentised(effect)
        seen, unknown = t[0], np.isnan(t)
        return ((t >= seen - TIE) | unknown).mean(axis=0), ((t <= seen + TIE) | unknown).mean(axis=0)

    def _studentised(self, effect: Floats) -> tuple[Floats, Floats]:
        """The differences were the effect this, by their standard errors; and these."""
        a, b, c = self._variance
        spread = np.sqrt(np.maximum(a + effect * (effect * c - 2 * b), 0.0))
        with np.errstate(invalid="ignore", divide="ignore"):
            t = (self._more - effect * self._taken) / spread
        return np.where(spread == 0, 0.0, t), spread
