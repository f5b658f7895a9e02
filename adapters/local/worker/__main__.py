"""The worker: its first line of input says what it is for."""

from __future__ import annotations

import sys

from .wire import Wire


def main() -> int:
    """Tune, or serve, as the first line says. Problems are told in one line."""
    wire = Wire()
    (spec,) = wire.take()
    try:
        # transformers is a second of imports; torch two
        from .loading import Unusable
    except ImportError as error:
        wire.tell(event="error", kind="missing", message=str(error))
        return 1
    try:
        if spec["task"] == "tune":
            from .tuning import tune

            tune(wire, spec)
        else:
            from .generation import Server

            Server(wire, spec).run()
    except Unusable as error:
        wire.tell(event="error", kind="unsupported", message=str(error))
        return 1
    except MemoryError:
        wire.tell(event="error", kind="memory", message="the machine's memory does not suffice")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
