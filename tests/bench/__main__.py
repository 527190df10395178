"""`python -m tests.bench`: runs every bench and prints its figures."""

from __future__ import annotations

import sys

from tests.bench import abuse_bench, api_bench, listener_bench, notice_bench, parser_bench


def main() -> None:
    """Print one figure a line."""
    for bench in (listener_bench, abuse_bench, parser_bench, api_bench, notice_bench):
        for name, value in bench.run():
            sys.stdout.write(f"{value:>12,.1f}  {name}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
