"""`corten doctor`: what this host can do for containers, what it cannot, and how to mend it.

Each module looks at one area and yields findings; a finding says what is so, and when it is not as one would wish,
what that means and the remedy. Where it matters the thing is tried rather than looked up: a process of its own makes
the user namespace, mounts the overlay, and leaves nothing behind.
"""

from corten.cli.doctor.finding import Finding

__all__ = ["Finding"]
