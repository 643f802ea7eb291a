"""Records and their head; the database itself refuses to change or remove a record."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SQLITE = """
CREATE TRIGGER records_keep_{what} BEFORE {what} ON records
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END
"""
_POSTGRESQL = (
    """
CREATE FUNCTION records_keep() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$
""",
    "CREATE TRIGGER records_keep BEFORE UPDATE OR DELETE ON records FOR EACH ROW EXECUTE FUNCTION records_keep()",
    "CREATE TRIGGER records_keep_all BEFORE TRUNCATE ON records EXECUTE FUNCTION records_keep()",
)


def upgrade() -> None:
    """Make the tables, the head of an empty ledger, and the triggers."""
    op.create_table(
        "records",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("recorded_at", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(320), nullable=False),
        sa.Column("about", sa.String(64)),
        sa.Column("line_id", sa.String(128)),
        sa.Column("cell_id", sa.String(128)),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    for column in ("kind", "about", "line_id"):
        op.create_index(f"ix_records_{column}", "records", [column])
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.CheckConstraint("id = 1", name="only_one"),
    )
    op.bulk_insert(head, [{"id": 1, "sequence": 0, "hash": "0" * 64}])
    if op.get_bind().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(_SQLITE.format(what=what))
    else:
        for statement in _POSTGRESQL:
            op.execute(statement)


def downgrade() -> None:
    """Refuse: going back would remove every record."""
    raise NotImplementedError("a ledger is not taken back; restore a copy of the database instead")
