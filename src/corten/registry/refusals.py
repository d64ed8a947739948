"""What a registry refuses: one type for each answer that distribution-spec tells apart.

Each is of a common kind (`model.errors`), so that who does not care for the difference needs not know it.
"""

from corten.model.errors import InvalidArgument, NotFound, ResourceExhausted

__all__ = [
    "BlobUnknown",
    "DigestInvalid",
    "ManifestBlobUnknown",
    "ManifestInvalid",
    "ManifestTooLong",
    "ManifestUnknown",
    "NameInvalid",
    "OutOfOrder",
    "RepositoryUnknown",
    "SizeInvalid",
    "TagInvalid",
    "UploadUnknown",
]


class NameInvalid(InvalidArgument):
    """No repository can have this name."""


class TagInvalid(InvalidArgument):
    """No manifest can have this tag."""


class DigestInvalid(InvalidArgument):
    """A digest is malformed, of an unknown algorithm, or not that of the bytes that came."""


class SizeInvalid(InvalidArgument):
    """Other than the announced number of bytes came."""


class OutOfOrder(InvalidArgument):
    """A chunk does not begin where the last one ended; `offset` is where that is."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message, hint="ask for the upload's state and go on from there")
        self.offset = offset


class ManifestInvalid(InvalidArgument):
    """The bytes are no manifest that this registry understands."""


class ManifestTooLong(ResourceExhausted):
    """The bytes are more than any manifest may have."""


class ManifestBlobUnknown(NotFound):
    """A manifest names a blob or manifest that its repository does not hold."""


class RepositoryUnknown(NotFound):
    """Nothing was ever pushed under this name."""


class ManifestUnknown(NotFound):
    """The repository has no manifest of this tag or digest."""


class BlobUnknown(NotFound):
    """The repository has no blob of this digest."""


class UploadUnknown(NotFound):
    """The upload never began, was finished, cancelled or forgotten."""
