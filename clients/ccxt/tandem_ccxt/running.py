"""One text for each method, for the sync and the async classes.

The methods of ``market.py``, ``trading.py`` and ``money.py`` are generators: they ``yield`` where
the async class has ``await``. What is yielded is a result of another method: in the sync class
its value, in the async class a coroutine.
"""

from __future__ import annotations

import functools
import inspect

from ccxt.base.types import Entry


def run(method):
    """Make a sync method of a generator."""

    @functools.wraps(method)
    def call(*args, **options):
        generator = method(*args, **options)
        value = None
        try:
            while True:
                value = generator.send(value)
        except StopIteration as end:
            return end.value

    return call


def run_async(method):
    """Make an async method of a generator."""

    @functools.wraps(method)
    async def call(*args, **options):
        generator = method(*args, **options)
        try:
            awaited = next(generator)
            while True:
                try:
                    value = await awaited
                except BaseException as error:
                    awaited = generator.throw(error)
                else:
                    awaited = generator.send(value)
        except StopIteration as end:
            return end.value

    return call


def methods_of(kind, runner):
    """Return the public generators of a class, each made a method by ``runner``."""
    return {
        name: runner(method)
        for name, method in inspect.getmembers(kind, inspect.isgeneratorfunction)
        if not name.startswith("_")
    }


def endpoints_of(api):
    """Return the implicit methods of ccxt, such as ``privateGetOrders``, by both their names."""
    found = {}
    for group, methods in api.items():
        for method, paths in methods.items():
            for path, terms in paths.items():
                words = [word for word in _words(path) if word]
                entry = Entry(path, [group], method.upper(), terms)
                camel = group + method.capitalize() + "".join(map(str.capitalize, words))
                found["_".join((group, method, *words))] = found[camel] = entry
    return found


def _words(path):
    for character in "/{}-_":
        path = path.replace(character, " ")
    return path.split()
