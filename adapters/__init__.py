"""What stands outside the engine: models, sandboxes, files, screens."""
