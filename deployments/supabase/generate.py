"""Write our migrations as Supabase wants them: one SQL file per revision, safe behind its public key.

``supabase db push`` and ``madvision migrate`` may take turns: a file does nothing where its revision has been applied,
but for locking its tables. With ``--check`` nothing is written, and the exit status is 1 where a file is not current.
"""

import argparse
import io
import re
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import create_mock_engine

from madvision_assets.tools.database.schema import MIGRATIONS_FOLDER

FOLDER = Path(__file__).parent / "supabase" / "migrations"
# Supabase runs files by their first 14 digits; revisions count from 1, and what must come before them is older.
EPOCH = "20260101"
HEADER = "-- Made by deployments/supabase/generate.py from revision {revision}; do not edit.\n"
TABLE = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)
VIEW = re.compile(r"^CREATE (?:OR REPLACE )?VIEW (\w+)", re.MULTILINE)
SERIAL = re.compile(r"^\s+(\w+) (?:BIG)?SERIAL\b")
FUNCTION = re.compile(r"^\s*CREATE (?:OR REPLACE )?FUNCTION (\w+\([^)]*\))", re.MULTILINE)
PUBLIC_KEY = "anon, authenticated"


def main() -> int:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where a file is not current")
    check = parser.parse_args().check
    wanted = {FOLDER / name: text for name, text in migrations().items()}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text() != text]
    for path in stale:
        print(f"{path.name} {'is not current' if check else 'written'}")
        if not check:
            path.write_text(wanted[path])
    return 1 if check and stale else 0


def migrations() -> dict[str, str]:
    """Each file's text by its name, oldest first."""
    revisions = ScriptDirectory(str(MIGRATIONS_FOLDER)).walk_revisions()
    return {file_name(revision): render(revision) for revision in reversed(list(revisions))}


def file_name(revision: Script) -> str:
    """Such as ``20260101000002_queue.sql``."""
    return f"{EPOCH}{int(revision.revision):06d}_{Path(revision.path).stem.partition('_')[2]}.sql"


def render(revision: Script) -> str:
    """The SQL of one revision."""
    before = revision.down_revision
    sql = upgrade_sql(f"{before or 'base'}:{revision.revision}")
    is_next = (
        f"exists (select from public.alembic_version where version_num = '{before}')"
        if before
        else "to_regclass('public.alembic_version') is null"
    )
    body = f"begin\nif {is_next} then\n\n{sql}\n\nend if;\n\n{lock_sql(sql)}end"
    return f"{HEADER.format(revision=revision.revision)}do $migration$\n{body}\n$migration$;\n"


def upgrade_sql(span: str) -> str:
    """What Alembic would send for these revisions, without its own transaction."""
    output = io.StringIO()
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
    # Migrations ask their connection for its dialect. This one doubles no %, and asks for nothing back: in a DO block
    # there is nowhere to put an answer.
    connection = create_mock_engine("postgresql+psycopg2://", lambda *_: None, paramstyle="named")
    connection.dialect.insert_returning = False
    config.attributes["connection"] = connection
    command.upgrade(config, span, sql=True)
    lines = (line.rstrip() for line in output.getvalue().splitlines() if line not in {"BEGIN;", "COMMIT;"})
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def lock_sql(sql: str) -> str:
    """Take what this SQL makes out of the public key's reach; harmless where that was done."""
    statements = [
        "-- The public key sees nothing, neither by a right nor by a policy; later tables are born so.",
        f"alter default privileges in schema public revoke all on tables from {PUBLIC_KEY};",
        f"alter default privileges in schema public revoke all on sequences from {PUBLIC_KEY};",
        f"alter default privileges in schema public revoke all on functions from {PUBLIC_KEY};",
    ]
    for table in TABLE.findall(sql):
        statements.append(f"alter table public.{table} enable row level security;")
        statements.append(f"revoke all on table public.{table} from {PUBLIC_KEY};")
    for view in VIEW.findall(sql):
        # As whoever asks: else a view would show what its owner sees, whatever the tables allow.
        statements.append(f"alter view public.{view} set (security_invoker = true);")
        statements.append(f"revoke all on table public.{view} from {PUBLIC_KEY};")
    statements += [f"revoke all on sequence public.{name} from {PUBLIC_KEY};" for name in sequences(sql)]
    for function in FUNCTION.findall(sql):
        statements.append(f"revoke all on function public.{function} from public, {PUBLIC_KEY};")
    return "\n".join(statements) + "\n\n"


def sequences(sql: str) -> list[str]:
    """Names of the sequences that PostgreSQL makes for SERIAL columns."""
    found, table = [], ""
    for line in sql.splitlines():
        if begun := TABLE.match(line):
            table = begun[1]
        if column := SERIAL.match(line):
            found.append(f"{table}_{column[1]}_seq")
    return found


if __name__ == "__main__":
    sys.exit(main())
