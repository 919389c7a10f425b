"""Our own tables: which videos there are, and one row of lineage per materialisation.

Here belong SQLAlchemy, Alembic and every statement in SQL. What does not: what a row is for (``domain``, ``lineage``).
"""

from madvision_assets.tools.database.database import Database

__all__ = ["Database"]
