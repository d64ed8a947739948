"""An engine for each module of root tests, and the REST client that most of them use."""

from collections.abc import Iterator

import pytest

from corten.client.address import Address
from corten.client.engine import Engine as Client
from tests.root.engines import Engine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """A running engine with the tiny image."""
    engine = Engine.temporary()
    engine.start()
    engine.load()
    yield engine
    engine.end()


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    """The engine's REST client; what a test made ends with it."""
    client = Client(Address(engine.host))
    yield client
    client.close()
    engine.remove_everything()
