"""Cancel every operation, or those whose name contains the argument, and print the table."""

import asyncio
import logging
import sys

from cancellation.crowd import EXPECTED, crowd
from cancellation.operations import TABLE
from cancellation.sweep import COLUMNS, Row, sweep


async def main() -> int:
    """Print the table and the violations; return 1 if there are any."""
    # Clients disconnect all the time here, and cancelled sends are what is counted.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    logging.getLogger("mlmsg").setLevel(logging.ERROR)
    print(" | ".join([f"{'operation':<37}", f"{'family':<8}", *COLUMNS]))
    total = Row("total")
    for operation, family in TABLE:
        if sys.argv[1:] and sys.argv[1] not in operation.name:
            continue
        row = await sweep(operation, family)
        print(row, flush=True)
        total.counts.update(row.counts)
        total.violations += row.violations
    print(total)
    for rejected in (False, True):
        found = await crowd(rejected=rejected)
        print(
            "\nA token that is rejected with a 401:" if rejected else "\nA token that has expired:",
            end=" ",
        )
        print(", ".join(f"{name}: {value}" for name, value in found.items()))
        total.violations += [f"{found} is not {EXPECTED}"] * (found != EXPECTED)
    print(f"\n{len(total.violations)} violations", *total.violations[:100], sep="\n")
    return 1 if total.violations else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
