"""Who may use a registry: a file of users and password hashes as Apache's htpasswd writes it (``htpasswd -B``).

Hashes are checked by the system's crypt library, so its bcrypt (``$2y$``), yescrypt (``$y$``) and SHA-crypt (``$5$``,
``$6$``) work; Apache's own MD5 and SHA-1 forms are refused when the file is read, not when somebody logs in. A right
answer is remembered by a keyed hash, since bcrypt is slow on purpose and every request carries the password.
"""

import ctypes
import hashlib
import hmac
import os
import threading
from pathlib import Path

from corten.model.errors import InvalidArgument, Unimplemented

__all__ = ["Passwords"]

_KNOWN = ("$2y$", "$2b$", "$2a$", "$y$", "$5$", "$6$")
_NOBODY = "$2y$05$" + "." * 53  # checked for unknown users, so that time does not tell who is known


class Passwords:
    """The users of one file, read once."""

    def __init__(self, hashes: dict[str, str]) -> None:
        self._hashes = hashes
        self._crypt = _load()
        self._lock = threading.Lock()  # crypt(3) answers in static memory
        self._key = os.urandom(32)
        self._right: dict[str, bytes] = {}

    @classmethod
    def read(cls, path: Path) -> "Passwords":
        """Raises InvalidArgument, with the line, for what is no hash we can check."""
        hashes: dict[str, str] = {}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            user, colon, hashed = line.strip().partition(":")
            if not user or not colon or not hashed.startswith(_KNOWN):
                raise InvalidArgument(
                    f"read {path}: line {number} is no USER:HASH with a hash of bcrypt, yescrypt or SHA-crypt",
                    hint=f"write it with: htpasswd -B {path} USER",
                    place=f"{path}:{number}",
                )
            hashes[user] = hashed
        return cls(hashes)

    def check(self, user: str, password: str) -> bool:
        """Whether this is the user's password."""
        proof = hmac.digest(self._key, f"{user}\0{password}".encode(), hashlib.sha256)
        if hmac.compare_digest(self._right.get(user, b""), proof):
            return True
        hashed = self._hashes.get(user, _NOBODY)
        if "\0" in password or not self._matches(password, hashed) or user not in self._hashes:
            return False
        self._right[user] = proof
        return True

    def _matches(self, password: str, hashed: str) -> bool:
        with self._lock:
            answer: bytes | None = self._crypt.crypt(password.encode(), hashed.encode())
        return answer is not None and hmac.compare_digest(answer, hashed.encode())


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libcrypt.so.1")
    except OSError:
        raise Unimplemented(
            "check passwords: this system has no libcrypt.so.1", hint="install the package libcrypt1 (or libxcrypt)"
        ) from None
    library.crypt.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
    library.crypt.restype = ctypes.c_char_p
    return library
