"""The JSON of every response, one module for each family.

The shapes of the seeds keep the order of their examples.
"""

__all__: list[str] = []  # `mlmsg.sandbox` exports the public types
