"""Storage: SQLite and its in-memory twin."""
