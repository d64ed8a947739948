"""What goes wrong with a template, in Go's words."""

from __future__ import annotations

__all__ = ["CallError", "TemplateError"]


class TemplateError(Exception):
    """The template cannot be parsed or executed; the message names line and column as Go's does."""


class CallError(Exception):
    """A function refused its arguments; the evaluation adds where."""
