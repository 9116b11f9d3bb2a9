"""Names that only one thing may have, and the counters that numbers come from.

A name is claimed in the transaction that writes its owner, so there is never one without the other. Kinds of names
are told apart by what is before the `#`: `user#alice`, `email#alice@example.com`, `meeting#123`.
"""

from collections.abc import Iterable

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.transactions import TransactWrite

from meet.store.base import Row

KEY_BYTES = 2048
"""The longest partition key that DynamoDB takes; asked for a longer one, it refuses."""


class _NameRow(Row):
    table = "names"

    name = UnicodeAttribute(hash_key=True)
    owner_id = UnicodeAttribute(null=True)
    value = NumberAttribute(null=True)
    """Of a counter: the last number given."""


def claim(write: TransactWrite, name: str, owner_id: str) -> None:
    """Add a put to a transaction that is cancelled where somebody has the name already."""
    write.save(_NameRow(name=name, owner_id=owner_id), condition=_NameRow.name.does_not_exist())


def drop(write: TransactWrite, name: str) -> None:
    """Add a delete of a name to a transaction; its caller makes sure that it is the owner's."""
    write.delete(_NameRow(name=name))


def owner(name: str) -> str | None:
    """The id of the name's owner, or None."""
    if len(name.encode()) > KEY_BYTES:
        return None
    try:
        return _NameRow.get(name, consistent_read=True).owner_id
    except DoesNotExist:
        return None


def owners(wanted: Iterable[str]) -> dict[str, str]:
    """The owner's id of each of these names that has one; a hundred a read."""
    rows = _NameRow.batch_get(set(wanted), consistent_read=True)
    return {row.name: row.owner_id for row in rows if row.owner_id is not None}


def count_up(counter: str) -> int:
    """The next number of a counter, 1 at first; no two callers get the same one."""
    row = _NameRow(name=f"counter#{counter}")
    row.update([_NameRow.value.add(1)])
    return int(row.value)
