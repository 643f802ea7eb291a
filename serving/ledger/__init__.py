"""What was recommended, decided, set and measured: added to and never changed, and what was changed is found.

entries   what may be written, a model a kind
chain     records chained by their hashes, and the search for the first that is not as it was written
tables    the database: SQLite, or PostgreSQL by URL; migrations/ holds its schema's history
book      ``Ledger``: append, read, verify
contexts  a context as plain values and back
advice    a recommendation with its context and settings, and its replay (needs the search extra)
export    the ledger as a file that can be verified by itself
"""

from serving.ledger.book import Advised, Decided, Ledger, LedgerError
from serving.ledger.chain import Anchor, Fault, Record, Verdict
from serving.ledger.entries import Applied, AuditEntry, Decision, Kind, Measured

__all__ = [
    "Advised",
    "Anchor",
    "Applied",
    "AuditEntry",
    "Decided",
    "Decision",
    "Fault",
    "Kind",
    "Ledger",
    "LedgerError",
    "Measured",
    "Record",
    "Verdict",
]
