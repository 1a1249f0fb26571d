"""Alembic migrations of the state store, run by opening it."""
