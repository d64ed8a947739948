"""Folds options into a RuntimeSpec: the one path from flags to spec."""

__all__: list[str] = []
