"""The stages' names are the program's own (``domain.stages``): a new one needs no migration.

What an older version of the program writes fits as before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLE = "video_processing_queue"
STEPS = "('raw_video', 'transcript', 'content_type', 'clip_candidates', 'clips')"
CHECKS = {f"ck_{TABLE}_{column}": f"{column} IN {STEPS}" for column in ("pipeline_step", "from_step")}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in CHECKS:
            op.drop_constraint(op.f(name), TABLE, type_="check")
    else:
        for name, check in CHECKS.items():
            _replace_in_sqlite(f"CONSTRAINT {name} CHECK ({check}),", "")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name, check in CHECKS.items():
            op.create_check_constraint(op.f(name), TABLE, sa.text(check))
    else:
        first = f"CONSTRAINT ck_{TABLE}_progress CHECK"
        whole = "".join(f"CONSTRAINT {name} CHECK ({check}), \n\t" for name, check in CHECKS.items())
        _replace_in_sqlite(first, whole + first)


def _replace_in_sqlite(old: str, new: str) -> None:
    """Change the table's definition where it stands, as SQLite has it for checks; a copy would lose the trigger.

    See https://www.sqlite.org/lang_altertable.html#making_other_kinds_of_table_schema_changes.
    """
    connection = op.get_bind()
    version = connection.execute(sa.text("PRAGMA schema_version")).scalar_one()
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    connection.execute(
        sa.text("UPDATE sqlite_master SET sql = replace(sql, :old, :new) WHERE type = 'table' AND name = :name"),
        {"old": old, "new": new, "name": TABLE},
    )
    connection.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))
