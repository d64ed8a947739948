"""`python -m corten.daemon` is `corten serve`."""

import sys

from corten.daemon.command import main

sys.exit(main(sys.argv[1:]))
