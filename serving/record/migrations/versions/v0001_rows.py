"""Lines, cells, rows and modes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "record_lines",
        sa.Column("line_id", sa.String(128), primary_key=True),
        sa.Column("plant", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("first", sa.Integer),
        sa.Column("last", sa.Integer),
    )
    op.create_table(
        "record_cells",
        sa.Column("line_id", sa.String(128), primary_key=True),
        sa.Column("cell_id", sa.String(128), primary_key=True),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
    )
    op.create_table(
        "record_rows",
        sa.Column("line_id", sa.String(128), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("key", sa.String(512), primary_key=True),
        sa.Column("cell_id", sa.String(128), nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("versions", sa.Integer, nullable=False),
    )
    op.create_index("ix_record_rows_day", "record_rows", ["line_id", "kind", "day"])
    op.create_index("ix_record_rows_cell", "record_rows", ["line_id", "cell_id", "day"])
    op.create_table(
        "record_modes",
        sa.Column("line_id", sa.String(128), primary_key=True),
        sa.Column("cell_id", sa.String(128), primary_key=True),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("levers", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("subject", sa.String(320), nullable=False),
        sa.Column("changed_at", sa.String(32), nullable=False),
    )


def downgrade() -> None:
    """Remove them: the record can be posted again."""
    for table in ("record_modes", "record_rows", "record_cells", "record_lines"):
        op.drop_table(table)
