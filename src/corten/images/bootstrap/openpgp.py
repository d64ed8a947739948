"""OpenPGP, the part that a signed package index needs: clear-signed text, v4 signatures, binary or armoured keyrings.

RFC 9580 (and 4880): packets 2 (signature), 6 and 14 (keys). A keyring is trusted as a whole, as `gpgv` does: its
self-signatures are read for expiry and revocation, not verified. `gpgv` is the oracle in the tests.

    text, signatures = split_clearsigned(data)
    signer = verify(text, signatures, read_keyring(ring), now=…)      # raises DataLoss
"""

import base64
import hashlib
import struct
from collections.abc import Iterator
from typing import NamedTuple

from corten.model.errors import DataLoss, InvalidArgument

__all__ = ["Key", "read_keyring", "require_keys", "split_clearsigned", "verify"]

BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----\n"
MIDDLE, END = b"-----BEGIN PGP SIGNATURE-----", b"-----END PGP SIGNATURE-----"
RSA = {1, 3}
EDDSA_LEGACY, ED25519 = 22, 27
ED25519_OID = bytes.fromhex("2b06010401da470f01")
HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}
TEXT_SIGNATURE, KEY_REVOCATION, SUBKEY_REVOCATION = 0x01, 0x20, 0x28
SELF_SIGNATURES = {0x10, 0x11, 0x12, 0x13, 0x18, 0x1F}
CREATED, KEY_EXPIRES, SIGNATURE_EXPIRES, ISSUER, ISSUER_FINGERPRINT = 2, 9, 3, 16, 33


class Key(NamedTuple):
    """A public key that may sign; `expires` is a Unix time or 0, `revoked` is final."""

    fingerprint: str
    algorithm: int
    material: bytes
    created: int
    expires: int
    revoked: bool


class Signature(NamedTuple):
    kind: int
    algorithm: int
    hash_name: str
    created: int
    lifetime: int
    key_lifetime: int
    issuer: str
    trailer: bytes
    values: bytes


def split_clearsigned(data: bytes) -> tuple[bytes, bytes]:
    """Split a clear-signed message into its canonical text (as signed, CRLF) and its binary signature packets."""
    if not data.startswith(BEGIN) or data.count(b"\n" + MIDDLE) != 1 or not data.rstrip().endswith(END):
        raise DataLoss("read the signed index: it is not one clear-signed OpenPGP message")
    body, _, armour = data.partition(b"\n" + MIDDLE)
    _, _, text = body.partition(b"\n\n")
    lines = [line[2:] if line.startswith(b"- ") else line for line in text.split(b"\n")]
    return b"\r\n".join(line.rstrip(b" \t\r") for line in lines), dearmour(MIDDLE + armour)


def dearmour(data: bytes) -> bytes:
    """The bytes of an ASCII-armoured block; binary data is returned as it is."""
    if not data.lstrip().startswith(b"-----BEGIN"):
        return data
    out = b""
    for block in data.split(b"-----BEGIN")[1:]:
        _, _, rest = block.partition(b"\n\n")
        lines = rest.partition(b"-----END")[0].split()
        out += base64.b64decode(b"".join(line for line in lines if not line.startswith(b"=")))
    return out


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, body) of each packet (RFC 9580, 4.2)."""
    at = 0
    while at < len(data):
        try:
            tag, at, size = packet_header(data, at)
        except (IndexError, struct.error):
            raise DataLoss("read OpenPGP packets: the data is cut short") from None
        if at + size > len(data):
            raise DataLoss("read OpenPGP packets: the data is cut short")
        yield tag, data[at : at + size]
        at += size


def packet_header(data: bytes, at: int) -> tuple[int, int, int]:
    first = data[at]
    if not first & 0x80:
        raise DataLoss("read OpenPGP packets: this is not an OpenPGP packet")
    if first & 0x40:
        return (first & 0x3F, *length(data, at + 1))
    width = (1, 2, 4)[first & 3]
    return (first >> 2) & 0xF, at + 1 + width, int.from_bytes(data[at + 1 : at + 1 + width], "big")


def length(data: bytes, at: int) -> tuple[int, int]:
    """A new-format length at `at`: (where the body begins, its size). Partial lengths do not occur in signatures."""
    first = data[at]
    if first < 192:
        return at + 1, first
    if first < 224:
        return at + 2, ((first - 192) << 8) + data[at + 1] + 192
    if first == 255:
        return at + 5, struct.unpack_from(">I", data, at + 1)[0]
    raise DataLoss("read OpenPGP packets: partial lengths are not expected here")


def read_keyring(data: bytes) -> dict[str, Key]:
    """Every signing key of a keyring, by fingerprint (upper-case hex)."""
    keys: dict[str, Key] = {}
    last = ""
    for tag, body in packets(dearmour(data)):
        if tag in (6, 14):
            key = read_key(body)
            last = key.fingerprint if key else ""
            if key:
                keys[last] = key
        elif tag == 2 and last:
            signature = read_signature(body)
            if signature and signature.kind in (KEY_REVOCATION, SUBKEY_REVOCATION):
                keys[last] = keys[last]._replace(revoked=True)
            elif signature and signature.kind in SELF_SIGNATURES and signature.key_lifetime:
                keys[last] = keys[last]._replace(expires=keys[last].created + signature.key_lifetime)
    return keys


def read_key(body: bytes) -> Key | None:
    if len(body) < 6 or body[0] != 4:
        return None
    fingerprint = hashlib.sha1(b"\x99" + struct.pack(">H", len(body)) + body).hexdigest().upper()
    return Key(fingerprint, body[5], body[6:], int.from_bytes(body[1:5], "big"), 0, revoked=False)


def read_signature(body: bytes) -> Signature | None:
    """A version 4 signature; other versions and unknown hashes are passed over, as they cannot convince us."""
    if len(body) < 10 or body[0] != 4 or body[3] not in HASHES:
        return None
    hashed_size = int.from_bytes(body[4:6], "big")
    hashed = body[: 6 + hashed_size]
    loose_size = int.from_bytes(body[len(hashed) : len(hashed) + 2], "big")
    loose = body[len(hashed) + 2 : len(hashed) + 2 + loose_size]
    fields = dict(subpackets(loose)) | dict(subpackets(hashed[6:]))

    def number(kind: int) -> int:
        return int.from_bytes(fields.get(kind, b""), "big")

    return Signature(
        kind=body[1],
        algorithm=body[2],
        hash_name=HASHES[body[3]],
        created=number(CREATED),
        lifetime=number(SIGNATURE_EXPIRES),
        key_lifetime=number(KEY_EXPIRES),
        issuer=fields.get(ISSUER_FINGERPRINT, b"")[1:].hex().upper() or fields.get(ISSUER, b"").hex().upper(),
        trailer=hashed + b"\x04\xff" + struct.pack(">I", len(hashed)),
        values=body[len(hashed) + 2 + loose_size + 2 :],
    )


def subpackets(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        at, size = length(data, at)
        yield data[at] & 0x7F, data[at + 1 : at + size]
        at += size


def verify(text: bytes, signatures: bytes, keys: dict[str, Key], *, now: int) -> str:
    """Return the fingerprint of the first key of `keys` with a good signature over `text`.

    Raises `DataLoss` when none has one, naming the keys that signed.
    """
    issuers = []
    for tag, body in packets(signatures):
        signature = read_signature(body) if tag == 2 else None
        if not signature or signature.kind != TEXT_SIGNATURE:
            continue
        issuers.append(signature.issuer)
        for key in keys.values():
            if key.fingerprint.endswith(signature.issuer) and signature.issuer and good(text, signature, key, now):
                return key.fingerprint
    raise DataLoss(
        f"verify the index's signature: no good signature by a trusted key; signed by {', '.join(issuers) or 'nobody'}",
        hint="give the distribution's keyring with --keyring FILE",
    )


def good(text: bytes, signature: Signature, key: Key, now: int) -> bool:
    if key.revoked or (key.expires and signature.created > key.expires) or signature.created < key.created:
        return False
    if signature.lifetime and signature.created + signature.lifetime < now:
        return False
    digest = hashlib.new(signature.hash_name, text + signature.trailer)
    if signature.algorithm in RSA and key.algorithm in RSA:
        return rsa_good(signature, key, digest.digest())
    if signature.algorithm == key.algorithm and key.algorithm in (EDDSA_LEGACY, ED25519):
        return ed25519_good(signature, key, digest.digest())
    return False


def integers(data: bytes) -> Iterator[bytes]:
    """The multiprecision integers in a row (RFC 9580, 3.2)."""
    at = 0
    while at + 2 <= len(data):
        size = (int.from_bytes(data[at : at + 2], "big") + 7) // 8
        yield data[at + 2 : at + 2 + size]
        at += 2 + size


def rsa_good(signature: Signature, key: Key, digest: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    modulus, exponent = (int.from_bytes(value, "big") for value in integers(key.material))
    value = next(integers(signature.values)).rjust((modulus.bit_length() + 7) // 8, b"\0")
    algorithm = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[signature.hash_name]
    try:
        public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        public.verify(value, digest, padding.PKCS1v15(), Prehashed(algorithm))
    except (InvalidSignature, ValueError):
        return False
    return True


def ed25519_good(signature: Signature, key: Key, digest: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if key.algorithm == ED25519:
        point, value = key.material[:32], signature.values[:64]
    else:
        if key.material[:1] + key.material[1 : 1 + key.material[0]] != bytes([len(ED25519_OID)]) + ED25519_OID:
            return False
        point = next(integers(key.material[1 + key.material[0] :]))[1:]
        value = b"".join(number.rjust(32, b"\0") for number in integers(signature.values))
    try:
        Ed25519PublicKey.from_public_bytes(point).verify(value, digest)
    except (InvalidSignature, ValueError):
        return False
    return True


def require_keys(data: bytes, origin: str) -> dict[str, Key]:
    """`read_keyring`, refusing a file that holds no key."""
    keys = read_keyring(data)
    if not keys:
        raise InvalidArgument(f"read the keyring {origin}: it holds no version 4 public key")
    return keys
