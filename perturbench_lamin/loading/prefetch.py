"""Items made ahead by threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def made_ahead(make: Callable[[int], T], count: int, ahead: int) -> Iterator[T]:
    """``make(0)`` … ``make(count - 1)``, the next ones being made while the caller works on this one.

    Args:
        make: makes an item from its number alone, so that the order in which threads make them does not matter.
        count: how many items.
        ahead: how many to make ahead, by as many threads; 0 makes each when it is asked for.
    """
    if not ahead:
        yield from map(make, range(count))
        return
    pool = ThreadPoolExecutor(ahead, thread_name_prefix="prefetch")
    coming: deque[Future[T]] = deque(pool.submit(make, number) for number in range(min(ahead, count)))
    try:
        for number in range(count):
            if number + ahead < count:
                coming.append(pool.submit(make, number + ahead))
            yield coming.popleft().result()  # no name holds the item, so that its memory can be used again
    finally:  # also when the caller stops early
        pool.shutdown(wait=True, cancel_futures=True)
