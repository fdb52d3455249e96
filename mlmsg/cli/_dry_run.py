"""Dry runs: the real call is made, and ends where it would write for the first time.

So a dry run checks everything that the real run checks, and in the same code. Reads leave, because
some rules depend on the state of a thread or of a claim.
"""

import click

from mlmsg.budget import RateBudget, RateLimiter
from mlmsg.policy import Effect

__all__ = ["DryRunEnd", "ReadOnlyBudget", "dry_run_option"]

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Check everything, but send and change nothing."
)


class DryRunEnd(Exception):
    """The call would now upload or send."""


class ReadOnlyBudget(RateBudget):
    """A rate budget that lets reads leave, and no write."""

    def limiter(self, effect: Effect) -> RateLimiter:
        """Return the limiter of reads.

        Raises:
            DryRunEnd: The call would write.
        """
        if effect is not Effect.READ:
            raise DryRunEnd
        return super().limiter(effect)
