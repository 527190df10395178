"""`python -m bounced` and the `bounced` command."""

import io
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from bounced.cli.app import run

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for terminals that know few letters
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
