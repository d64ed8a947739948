"""Edges: each converts wire types to model types and calls one use-case."""

__all__: list[str] = []
