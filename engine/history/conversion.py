"""The tables of an earlier version, turned into those of this one.

A journal whose first segments are archived cannot give a history again, so what differs in the
layout alone is converted where it is.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, inspect, update

from engine.history import schema

CONVERTED_VERSION: Final = 4
"""The version whose tables have the same columns: other keys, and more indexes."""
_REBUILT: Final = (schema.ledger, schema.client_ids)
_NO_LONGER: Final = "orders_open"


def convert(connection: Connection) -> None:
    """Convert the tables of ``CONVERTED_VERSION``, within the caller's SQL transaction.

    It takes about as long as writing the ledger once, and on SQLite as much room again.
    """
    run = connection.exec_driver_sql
    run(f"DROP INDEX {_NO_LONGER}")
    for table in _REBUILT:
        old = f"{table.name}_before"
        names = ", ".join(column.name for column in table.columns)
        run(f"ALTER TABLE {table.name} RENAME TO {old}")
        # The names of indexes and of the key are not those of the table.
        for index in inspect(connection).get_indexes(old):
            run(f"DROP INDEX {index['name']}")
        key = inspect(connection).get_pk_constraint(old)["name"]
        if key:
            run(f"ALTER TABLE {old} DROP CONSTRAINT {key}")
        table.create(connection)
        run(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {old}")
        run(f"DROP TABLE {old}")
    connection.execute(update(schema.meta).values(schema_version=schema.SCHEMA_VERSION))
