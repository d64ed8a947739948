"""The Python side of Docker's API: addresses, one connection, JSON.

The smallest client there is: a command must start in a few milliseconds, so nothing here imports more than
`_socket` and `_json`.

>>> from corten.client.address import Address
>>> from corten.client.connection import Connection
>>> Connection(Address("unix:///run/corten/corten.sock")).request("GET", "/version").json()

On top of it stands the SDK, an object for each of Docker's nouns, which starts the user's own engine when needed:

>>> from corten.client.engine import Engine
>>> Engine.connect().containers.run({"Image": "busybox", "Cmd": ["echo", "hi"]}).wait()
0
"""

__all__: list[str] = []
