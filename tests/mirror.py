"""A signed package mirror in a directory, made for tests: keys, InRelease, Packages.xz, packages; all real formats."""

import base64
import hashlib
import io
import lzma
import struct
import tarfile
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["Mirror", "Signer"]

OID = bytes.fromhex("2b06010401da470f01")


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 255]) + struct.pack(">I", len(body)) + body


def integer(value: bytes) -> bytes:
    value = value.lstrip(b"\0")
    return struct.pack(">H", len(value) * 8 - (8 - value[0].bit_length())) + value


def crc24(data: bytes) -> bytes:
    """The armour's checksum (RFC 4880, 6.1)."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    return (crc & 0xFFFFFF).to_bytes(3, "big")


class Signer:
    """An Ed25519 OpenPGP key (the legacy EdDSA form that archives use) that clear-signs text."""

    def __init__(self, created: int = 1_600_000_000) -> None:
        self.key = Ed25519PrivateKey.generate()
        point = b"\x40" + self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.body = b"\x04" + struct.pack(">I", created) + bytes([22, len(OID)]) + OID + integer(point)
        self.fingerprint = hashlib.sha1(b"\x99" + struct.pack(">H", len(self.body)) + self.body).digest()

    def keyring(self) -> bytes:
        """The public key, its user id and the self-signature that binds them, as `gpgv` wants to see them."""
        user = b"Test Archive <archive@example.test>"
        bound = b"\x99" + struct.pack(">H", len(self.body)) + self.body + b"\xb4" + struct.pack(">I", len(user)) + user
        return packet(6, self.body) + packet(13, user) + self.signature(bound, 0x13, 1_600_000_001, b"\x02\x1b\x03")

    def signature(self, data: bytes, kind: int, created: int, extra: bytes = b"") -> bytes:
        hashed = b"\x05\x02" + struct.pack(">I", created) + bytes([22, 33, 4]) + self.fingerprint + extra
        head = bytes([4, kind, 22, 8]) + struct.pack(">H", len(hashed)) + hashed
        digest = hashlib.sha256(data + head + b"\x04\xff" + struct.pack(">I", len(head))).digest()
        raw = self.key.sign(digest)
        issuer = b"\x09\x10" + self.fingerprint[-8:]
        unhashed = struct.pack(">H", len(issuer)) + issuer
        return packet(2, head + unhashed + digest[:2] + integer(raw[:32]) + integer(raw[32:]))

    def clearsign(self, text: str, created: int | None = None) -> bytes:
        canonical = "\r\n".join(line.rstrip() for line in text.rstrip("\n").split("\n")).encode()
        signed = self.signature(canonical, 1, created or int(time.time()) - 5)
        armour = base64.encodebytes(signed).decode() + "=" + base64.b64encode(crc24(signed)).decode() + "\n"
        return (
            f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{text.rstrip(chr(10))}\n"
            f"-----BEGIN PGP SIGNATURE-----\n\n{armour}-----END PGP SIGNATURE-----\n"
        ).encode()


def ar(members: dict[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, body in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode() + body + b"\n" * (len(body) % 2)
    return out


def tar(files: dict[str, bytes | str]) -> bytes:
    """A tar of files (bytes) and symbolic links (str)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz", preset=0) as archive:
        for name, body in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.mtime = 2_000_000_000
            if isinstance(body, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, body
            else:
                entry.size, entry.mode = len(body), 0o755
            archive.addfile(entry, io.BytesIO(body) if isinstance(body, bytes) else None)
    return out.getvalue()


@dataclass
class Mirror:
    """A mirror below `root` with one suite; add packages, then `publish` and use `uri`."""

    root: Path
    suite: str = "bookworm"
    signer: Signer = field(default_factory=Signer)
    stanzas: list[str] = field(default_factory=list)

    @property
    def uri(self) -> str:
        return f"file://{self.root}"

    def add(
        self,
        name: str,
        files: dict[str, bytes | str],
        *,
        scripts: dict[str, str] | None = None,
        version: str = "1",
        **fields: str,
    ) -> Path:
        """Put a package into the archive, with its maintainer scripts and further control fields."""
        paragraph = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n"
        paragraph += "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in fields.items())
        programs: dict[str, bytes | str] = {
            kind: f"#!/bin/sh\nset -e\n{body}\n".encode() for kind, body in (scripts or {}).items()
        }
        package = ar(
            {
                "debian-binary": b"2.0\n",
                "control.tar.xz": tar({"control": paragraph.encode(), **programs}),
                "data.tar.xz": tar(files),
            }
        )
        path = self.root / "pool" / f"{name}_{len(self.stanzas)}.deb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(package)
        digest = hashlib.sha256(package).hexdigest()
        where = f"Filename: pool/{path.name}\nSize: {len(package)}\nSHA256: {digest}\n"
        self.stanzas.append(paragraph + where)
        return path

    def publish(self, *, valid_until: float | None = None, architectures: tuple[str, ...] = ("amd64", "arm64")) -> None:
        directory = self.root / "dists" / self.suite
        index = lzma.compress("\n".join(self.stanzas).encode())
        rows = ""
        for architecture in architectures:
            path = directory / "main" / f"binary-{architecture}" / "Packages.xz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(index)
            digest = hashlib.sha256(index).hexdigest()
            rows += f"\n {digest} {len(index)} main/binary-{architecture}/Packages.xz"
        until = f"\nValid-Until: {formatdate(valid_until, usegmt=True)}" if valid_until else ""
        names = f"Suite: {self.suite}\nCodename: {self.suite}\n"
        text = f"{names}Date: {formatdate(1_700_000_000, usegmt=True)}{until}\nSHA256:{rows}"
        (directory / "InRelease").write_bytes(self.signer.clearsign(text))
        (self.root / "keyring.gpg").write_bytes(self.signer.keyring())
