"""What runs inside the sandbox: standard library only, and no imports from the rest of the package.

The folder is mounted into the sandbox by itself and started as `python -m guest`.
"""
