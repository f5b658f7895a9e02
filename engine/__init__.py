"""The engine: tasks in, better functions out. Knows no provider, no database, no screen."""
