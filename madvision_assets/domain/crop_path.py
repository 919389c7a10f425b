"""The path of a cut-out along its one free side: as still as it can be while what it follows stays inside.

Of all paths through the tube of places that will do, the taut string is the shortest (Davies and Kovac, 2001; for
cameras Grundmann et al., 2011): it stands where it can, and moves straight where it must. All of a shot is known
before, so that nothing lags behind.
"""

import math
from collections.abc import Sequence

# Of the cut-out's side in one frame: more is seen as a jerk. Places are rounded to whole pixels in the end.
MAX_STEP, ROUNDING_PX = 0.02, 0.12
EASE_S = 0.24
MIN_TOLERANCE_PX, TOLERANCE = 0.6, 0.0025  # of the cut-out's side: fewer knots, and nothing that is seen

Knots = tuple[tuple[int, float], ...]


def crop_path(
    frames: Sequence[int], low: Sequence[float], high: Sequence[float], span: tuple[int, int], crop: int, fps: float
) -> Knots:
    """Knots (frame, place) of the path through a shot; between them it is a line.

    Args:
        frames: those for which it is known where the cut-out may be; in order, at least one.
        low: the least place that will do, for each, pixels.
        high: the greatest, not below ``low``.
        span: first frame of the shot, and that after its last.
        crop: length of the cut-out along the free side, pixels.
        fps: frames per second.
    """
    string = taut_string(frames, low, high)
    first, end = span
    dense = [_at(frame, frames, string) for frame in range(first, end)]
    step = max(ROUNDING_PX, math.floor(MAX_STEP * crop) - ROUNDING_PX)
    eased = _eased(_bounded(dense, step), round(EASE_S * fps))
    return simplified(eased, first, max(MIN_TOLERANCE_PX, TOLERANCE * crop))


def place_at(knots: Knots, frame: int) -> int:
    """Where the cut-out is in a frame, pixels."""
    return round(_at(frame, [knot[0] for knot in knots], [knot[1] for knot in knots]))


def taut_string(times: Sequence[float], low: Sequence[float], high: Sequence[float]) -> list[float]:
    """The shortest path through a tube, with free ends: its value at each time."""
    if max(low) <= min(high):  # it can stand still, in the middle of what will do
        return [(max(low) + min(high)) / 2] * len(times)
    path = [_first(low, high)]
    index = 0
    while index < len(times) - 1:
        reached, value = _next_knot(times, low, high, index, path[index])
        for at in range(index + 1, reached + 1):
            share = (times[at] - times[index]) / (times[reached] - times[index])
            path.append(path[index] + (value - path[index]) * share)
        index = reached
    return path


def simplified(values: Sequence[float], first: int, tolerance: float) -> Knots:
    """The knots by which no value is off by more than a tolerance (Douglas and Peucker), to a tenth of a pixel."""
    keep = {0, len(values) - 1}
    waiting = [(0, len(values) - 1)]
    while waiting:
        begin, end = waiting.pop()
        if end - begin < 2:  # noqa: PLR2004 - nothing lies between
            continue
        slope = (values[end] - values[begin]) / (end - begin)
        worst = max(range(begin + 1, end), key=lambda at: abs(values[at] - values[begin] - slope * (at - begin)))
        if abs(values[worst] - values[begin] - slope * (worst - begin)) > tolerance:
            keep.add(worst)
            waiting += [(begin, worst), (worst, end)]
    knots = [(first + at, round(values[at], 1)) for at in sorted(keep)]
    if len({place for _, place in knots}) == 1:
        return (knots[0],)
    return tuple(knots)


def _first(low: Sequence[float], high: Sequence[float]) -> float:
    """Where to begin: as near as can be to where it must be when it cannot stand any longer."""
    floor, ceiling = low[0], high[0]
    for least, most in zip(low, high, strict=True):
        if least > ceiling:
            return ceiling
        if most < floor:
            return floor
        floor, ceiling = max(floor, least), min(ceiling, most)
    return (floor + ceiling) / 2


def _next_knot(
    times: Sequence[float], low: Sequence[float], high: Sequence[float], start: int, value: float
) -> tuple[int, float]:
    """The end of the longest line from a point that stays in the tube, where the string bends next."""
    steepest, flattest = float("inf"), float("-inf")
    bend_low = bend_high = start + 1
    for index in range(start + 1, len(times)):
        over = times[index] - times[start]
        up, down = (high[index] - value) / over, (low[index] - value) / over
        if down > steepest:  # the tube rises above the line of sight: bend at its ceiling
            return bend_high, value + steepest * (times[bend_high] - times[start])
        if up < flattest:
            return bend_low, value + flattest * (times[bend_low] - times[start])
        if up <= steepest:
            steepest, bend_high = up, index
        if down >= flattest:
            flattest, bend_low = down, index
    slope = min(max(0.0, flattest), steepest)  # the end is free: level, where that stays inside
    if slope == 0.0:
        return len(times) - 1, value
    bend = bend_low if slope == flattest else bend_high
    return bend, value + slope * (times[bend] - times[start])


def _bounded(values: Sequence[float], step: float) -> list[float]:
    """The values with no step above a bound: halfway between the nearest such paths from above and from below."""
    upper, lower = list(values), list(values)
    for order in (range(1, len(values)), range(len(values) - 2, -1, -1)):
        towards = 1 if order.step > 0 else -1
        for at in order:
            upper[at] = max(upper[at], upper[at - towards] - step)
            lower[at] = min(lower[at], lower[at - towards] + step)
    return [(one + other) / 2 for one, other in zip(upper, lower, strict=True)]


def _eased(values: Sequence[float], reach: int) -> list[float]:
    """Means over some frames to both sides: no corner is sharp."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    eased = []
    for at in range(len(values)):
        near = min(reach, at, len(values) - 1 - at)
        eased.append((sums[at + near + 1] - sums[at - near]) / (2 * near + 1))
    return eased


def _at(frame: float, frames: Sequence[float], values: Sequence[float]) -> float:
    """The value on the line through points in order; outside as at the nearest."""
    low, high = 0, len(frames) - 1
    if frame <= frames[low]:
        return values[low]
    if frame >= frames[high]:
        return values[high]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if frames[middle] <= frame else (low, middle)
    return values[low] + (values[high] - values[low]) * (frame - frames[low]) / (frames[high] - frames[low])
