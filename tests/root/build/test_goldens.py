"""Each case of tests/dockerfiles gives the image that is kept beside it: files, owners, modes, config, history."""

import json
import os
from pathlib import Path

import pytest

from tests.root.build.building import Site, directory, stands_on_nothing
from tests.root.engines import IMAGE, OTHER_HOST

pytestmark = pytest.mark.root
PLACE = Path(__file__).parents[2] / "dockerfiles"
CASES = sorted(path.parent for path in PLACE.glob("*/Dockerfile"))
OURS = ("expected.txt", "query.json")


def described(site: Site, case: Path) -> str:
    """The image as text: what differs from the base, then the config, then how it came to be."""
    query = json.loads((case / "query.json").read_text()) if (case / "query.json").exists() else {}
    built = site.build(directory(case, OURS), **query)
    image = built.id
    base = {} if stands_on_nothing(case) else site.files(IMAGE)
    return "\n".join([*site.look(image, base), "", *site.history(image), ""])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_dockerfile_gives_the_image_that_is_kept(site: Site, case: Path) -> None:
    golden = case / "expected.txt"
    if OTHER_HOST and not (case / "Dockerfile").read_text().startswith("# classic"):
        pytest.skip("uses what the classic builder does not know")
    text = described(site, case)
    if os.environ.get("CORTEN_ACCEPT"):
        golden.write_text(text)
    expected = golden.read_text()
    if OTHER_HOST:  # the history's words are the builder's own
        text, expected = (both.rpartition("\n\n")[0] for both in (text, expected))
    assert text == expected, "the image has changed; if it should, run: ./dev accept"
