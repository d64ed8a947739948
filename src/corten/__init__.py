"""Corten: the whole container stack in one `pip install`.

Start with docs/tour.md: it follows one `corten run` from the command to the kernel.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
