"""What is said in the videos, to be searched: full text on PostgreSQL, FTS5 on SQLite."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE = "spoken_passages"
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")
# The words come taken apart, so that this has nothing to decide.
FTS5 = (
    f"CREATE VIRTUAL TABLE spoken_words USING fts5(words, content='{TABLE}', content_rowid='id', columnsize=0, "
    "tokenize=\"unicode61 remove_diacritics 0 categories 'L* M* N* Co'\")"
)
ADDED = "INSERT INTO spoken_words(rowid, words) VALUES (new.id, new.words)"
GONE = "INSERT INTO spoken_words(spoken_words, rowid, words) VALUES ('delete', old.id, old.words)"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("video_id", sa.String(100), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("data_version", sa.Text, nullable=False),
        sa.Column("sentences", JSON_DOCUMENT, nullable=False),
        sa.Column("words", TSVECTOR().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{TABLE}"),
        # The version before forgets videos without knowing this table.
        sa.ForeignKeyConstraint(["video_id"], ["videos.video_id"], name=f"fk_{TABLE}_video_id", ondelete="CASCADE"),
        sa.UniqueConstraint("video_id", "number", name=f"uq_{TABLE}_video_id_number"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Without a list of what is pending, which the unlucky one would have to sort in, or look through.
        op.create_index(
            f"ix_{TABLE}_words", TABLE, ["words"], postgresql_using="gin", postgresql_with={"fastupdate": "off"}
        )
        return
    op.execute(FTS5)
    op.execute(f"CREATE TRIGGER spoken_added AFTER INSERT ON {TABLE} BEGIN {ADDED}; END")
    op.execute(f"CREATE TRIGGER spoken_gone AFTER DELETE ON {TABLE} BEGIN {GONE}; END")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER spoken_gone")
        op.execute("DROP TRIGGER spoken_added")
        op.execute("DROP TABLE spoken_words")
    op.drop_table(TABLE)
