"""The account API: HTTP for treasuries, trading systems and operators.

It holds no state of its own: commands go to the engine over its local socket, answers come
from the engine's committed state or from the SQL history. See README.md for the layer rule.

Nothing is imported here: the stream and the settlement are in this package as well, and would
start with Flask that they do not need.
"""
