"""The HTTP side of the sandbox: requests, their bodies and input checks, and responses."""
