"""The JSON of every response, one module for each family, field by field in documented order."""

__all__: list[str] = []  # `mlmsg.sandbox` exports the public types
