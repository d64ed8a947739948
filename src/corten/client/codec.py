"""The JSON of `corten.wire.codec` under the name it had here."""

from corten.wire.codec import dumps, dumps_indented, indent, loads, values

__all__ = ["dumps", "dumps_indented", "indent", "loads", "values"]
