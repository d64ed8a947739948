"""Base images without a hub: an image made straight from a distribution's packages.

    corten image bootstrap debian:bookworm --variant base --packages python3-minimal -t python

The way of one image, a module per station:

    sources   which mirror serves the suite            `Suite(uri, suite, component)`
    release   `InRelease`: its OpenPGP signature is checked against the keyring; it carries the indexes' SHA-256
    openpgp   the verification itself
    index     `Packages`: verified by that SHA-256; it carries each package's SHA-256
    solve     the closure of the wanted packages over Depends and Pre-Depends, and their order
    selection which packages it will be: those of the release, or those of a lock
    fetch     downloads by digest into a cache, a few at a time
    deb       the `ar` container of a package: its control fields and its files
    rootfs    all files of all packages as one tar, sorted, with clamped times: no extraction, so no root is needed
    variants  what `static`, `base`, `minbase` and `busybox` mean
    minbase   the packages installed by their own dpkg, their scripts run in containers
    spdx      what is in the image, as an SPDX document that lies in it (with `licences`)
    lock      the packages, to the byte, to make the same image again
    archive   the tar as a loadable image (`docker load` takes it as well)

Nothing is trusted before its hash is: signature → index → package → file. The same release and the same wishes
give the same bytes, and therefore the same digest, whenever and wherever they are made.
"""

from corten.images.bootstrap.minbase import Job
from corten.images.bootstrap.recipe import Recipe, Result, make

__all__ = ["Job", "Recipe", "Result", "make"]
