"""The ledger's schema and its history."""

from pathlib import Path
from typing import Final

from serving.database import Schema

NEWEST: Final = "0002"
"""The revision that this code reads and writes: the last of ``migrations/versions``."""
SCHEMA: Final = Schema("ledger", Path(__file__).with_name("migrations"), NEWEST, lock=0x5348_4C45)
