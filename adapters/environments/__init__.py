"""Environments that come with funcforge."""
