"""Exporters: learned functions for use elsewhere."""
