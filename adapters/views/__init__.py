"""Views: the screen, the curve, the report."""
