"""What stands for a cell is found without reading the whole ledger."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_records_cell", "records", ["kind", "line_id", "cell_id", "sequence"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_records_cell", "records")
