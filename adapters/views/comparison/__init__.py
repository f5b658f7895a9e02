"""A comparison as people read it: table, Markdown, CSV, JSON and one HTML page."""
