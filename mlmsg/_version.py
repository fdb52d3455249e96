"""The version of the package. A look into its metadata takes longer than the rest of the import."""

__all__ = ["__version__"]

__version__ = "0.1.0"
