"""Runs migrations on DATABASE_URL, each in a transaction of its own."""

from logging.config import fileConfig

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from app.models import Base
from app.settings import DatabaseSettings, load_or_exit

if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)


def _migrate() -> None:
    url = load_or_exit(DatabaseSettings).database_url.replace("+asyncpg", "+psycopg", 1)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            # Indexes are made outside of a transaction; a revision must not share one with others.
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("only online migrations: indexes are checked in the database itself")
_migrate()
