"""Protocols as bytes in, events out: they know neither sockets nor files.

One module per protocol, so that an edge imports only what it speaks:

- `wire.filters`: the ``filters`` query parameter, in the documented and in the Go client's shape;
- `wire.stdcopy`: the eight-byte frames that carry stdout and stderr on one stream;
- `wire.registry_auth`: the ``X-Registry-Auth`` and ``X-Registry-Config`` headers;
- `wire.codec`: JSON by the interpreter's C core alone, for start-up paths;
- `wire.jsonstream`: one JSON value after another, as events, pulls and builds are answered.

>>> from corten.wire.stdcopy import STDOUT, frame
>>> frame(STDOUT, b"hi")
b'\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x02hi'
"""

__all__: list[str] = []
