"""Task sets from files."""
