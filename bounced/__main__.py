"""`python -m bounced` and the `bounced` command."""

import io
import sys

_TEMPORARY = 75
"""Exit code of what was interrupted; the same as `Exit.LATER`, whose module is not read yet."""


def main() -> None:
    """Run the command line and exit with its code; Ctrl-C is one line, from the start on."""
    try:
        sys.exit(_run())
    except KeyboardInterrupt:
        sys.stderr.write("bounced: interrupted\n")
        sys.exit(_TEMPORARY)


def _run() -> int:
    from bounced.cli.app import run

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for terminals that know few letters
    return run(sys.argv[1:])


if __name__ == "__main__":
    main()
