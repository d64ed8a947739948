"""Container names: what one may look like, and new ones of our own making (an adjective and a noun of the smithy).

>>> check("/web-1")
'web-1'
"""

import random
import re
from collections.abc import Container

from corten.model.errors import InvalidArgument

__all__ = ["check", "generate"]

VALID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")

ADJECTIVES = """
    amber annealed ashen blazing bold braided brazen bright brisk bronze burnished calm carved cast chased clad coiled
    copper crisp curved daring dappled deft dusky eager earnest elastic ember fabled fearless fervent fine fluted forged
    frosted gilded glowing grained hammered hardened hardy honed honest humble indigo inlaid keen kindled lasting lively
    lucid lustrous mellow mighty modest molten neat nimble noble ochre patient placid plated plucky polished prime proud
    quaint quenched quick quiet rapid ribbed ringing riveted robust rolled rosy rugged russet rusted sable scarlet
    serene sharp shining silver sleek smelted solid sooty spry stalwart steady stout sturdy supple tempered tidy
    tinted tranquil trusty umber upright vivid warm weathered welded willing wrought zesty
"""
NOUNS = """
    adit agricola alloy anchor anvil arbor awl bainite bar beam bellows bessemer billet biringuccio bloom bolt brazier
    brearley bridge burin caliper canopy casting chain chisel cinder clamp cog crane crucible damascus darby dowel
    easel eiffel ferrite file flange flux foundry furnace gantry gauge girder graver hadfield hammer hatch hearth hinge
    hook huntsman ingot iron jig joist keel kiln ladle lathe lattice lever lintel mallet mandrel martens merica mill
    mortise nail nickel ore patina pearlite pier pig pivot plank plate pulley pylon quarry rail rasp reaumur rivet rod
    rolling roof rust scaffold sheet shim smithy sorby span spar spindle sprue stainless steel
    swage tenon tinder tongs truss tubal turret valve vault vice wedge weld wootz
"""
FIRST, SECOND = ADJECTIVES.split(), NOUNS.split()
TRIES = 6


def check(name: str) -> str:
    """The name without Docker's leading slash; InvalidArgument in Docker's words when it is none."""
    bare = name.removeprefix("/")
    if not VALID.fullmatch(bare):
        raise InvalidArgument(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            hint="a name has two characters or more",
        )
    return bare


def generate(taken: Container[str], identity: str) -> str:
    """A name that is free; where the words are used up, the start of the container's id is put behind them."""
    for attempt in range(TRIES):
        name = f"{random.choice(FIRST)}_{random.choice(SECOND)}{attempt or ''}"
        if name not in taken:
            return name
    return f"{random.choice(FIRST)}_{random.choice(SECOND)}_{identity[:12]}"
