"""`fastpath` and `python -m fastpath`."""
from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line and exits."""
    from fastpath.cli import INTERRUPTED, app
    try:
        app(prog_name="fastpath")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:         # the reader of standard output has gone
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
