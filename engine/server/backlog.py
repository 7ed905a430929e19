"""Work that a turn of the engine had no time for, served to the connections in turn."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator

from engine.server.ipc import Connection, Item

Arrival = tuple[Connection, Item]


class Backlog:
    """Items that wait, by connection and in their order; bounded, for while a connection has
    some here nothing more is read of it. ``number in backlog`` says whether it has."""

    def __init__(self) -> None:
        self._queues: OrderedDict[int, deque[Arrival]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __contains__(self, number: object) -> bool:
        return number in self._queues

    def add(self, items: Iterable[Arrival]) -> None:
        """Add items behind those of their connections."""
        queues = self._queues
        for connection, item in items:
            queue = queues.get(connection.number)
            if queue is None:
                queue = queues[connection.number] = deque()
            queue.append((connection, item))

    def put_back(self, items: list[Arrival]) -> None:
        """Add items, in their order, before those of their connections."""
        for connection, item in reversed(items):
            self._queues.setdefault(connection.number, deque()).appendleft((connection, item))

    def take(self) -> Iterator[Arrival]:
        """Remove and yield items, one of each connection in turn, until none is left."""
        queues = self._queues
        while queues:
            number, queue = next(iter(queues.items()))
            found = queue.popleft()
            if queue:
                queues.move_to_end(number)
            else:
                del queues[number]
            yield found
