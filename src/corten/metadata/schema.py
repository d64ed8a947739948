"""Every table of the database, drawn once, and the numbered migrations that make them.

    names ──image──► images ──(refs)──► blobs, snapshots        a name (docker.io/library/x:tag) points at an image
    refs   (src_kind, src_id) ──► (dst_kind, dst_id)            who keeps whom; what no root reaches is collected
    leases id, expires_ns                                       a root with an end, for work in progress
    containers id, name, record, state                          what was asked, and how it goes (not: what lives)
    volumes name, labels, options                               refs: a container keeps image, snapshot and volumes
    events number, time_ns, type, action, actor, attributes     the outbox: written with what it tells about

A migration is never edited once it has landed: append the next one, at the end. Each runs in one transaction,
after a copy of the file has been put beside it; `PRAGMA user_version` is the number of the last one that ran.
All tables are STRICT; typed columns for what is queried, JSON text for what is only carried along.
"""

from typing import NamedTuple

__all__ = ["MIGRATIONS", "Migration"]


class Migration(NamedTuple):
    """`name` says whose tables these are; its place in `MIGRATIONS` is its number, from 1."""

    name: str
    sql: str


CORE = """
CREATE TABLE refs (
    src_kind TEXT NOT NULL, src_id TEXT NOT NULL,
    dst_kind TEXT NOT NULL, dst_id TEXT NOT NULL,
    PRIMARY KEY (src_kind, src_id, dst_kind, dst_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX refs_by_target ON refs (dst_kind, dst_id);

CREATE TABLE leases (
    id TEXT PRIMARY KEY,
    why TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    expires_ns INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    time_ns INTEGER NOT NULL,
    type TEXT NOT NULL, action TEXT NOT NULL, actor TEXT NOT NULL,
    attributes TEXT NOT NULL,
    scope TEXT NOT NULL
) STRICT;
"""

# An image is kept under its id (the digest of its config); `manifest` is the document that came or was made with it.
IMAGES = """
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    manifest TEXT NOT NULL,
    parent TEXT,
    size INTEGER NOT NULL,
    created_ns INTEGER NOT NULL,
    tagged_ns INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX images_by_parent ON images (parent);

CREATE TABLE names (
    name TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    image TEXT NOT NULL REFERENCES images (id),
    updated_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX names_by_image ON names (image);
CREATE INDEX names_by_repository ON names (repository);
"""

# A network, and a container's place in them, are carried as documents; what must be unique stands in columns beside.
NETWORKS = """
CREATE TABLE networks (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_ns INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;

CREATE TABLE sandboxes (
    container TEXT PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;

CREATE TABLE endpoints (
    id TEXT PRIMARY KEY,
    container TEXT NOT NULL REFERENCES sandboxes (container) ON DELETE CASCADE,
    network TEXT NOT NULL REFERENCES networks (id),
    ipv4 TEXT, ipv6 TEXT,
    UNIQUE (container, network), UNIQUE (network, ipv4), UNIQUE (network, ipv6)
) STRICT;

CREATE TABLE ports (
    container TEXT NOT NULL REFERENCES sandboxes (container) ON DELETE CASCADE,
    protocol TEXT NOT NULL, host_ip TEXT NOT NULL, host_port INTEGER NOT NULL,
    PRIMARY KEY (protocol, host_ip, host_port)
) STRICT, WITHOUT ROWID;
CREATE INDEX ports_by_container ON ports (container);
"""

# What a layer's files add up to once unpacked: `docker images` and `docker history` show it.
LAYERS = """
CREATE TABLE layers (
    diff_id TEXT PRIMARY KEY,
    size INTEGER NOT NULL
) STRICT;
"""

# A bare tar that was pushed: what it became as gzip, kept for the next push.
COMPRESSED = """
CREATE TABLE compressed (
    bare TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL
) STRICT;
"""

# What was asked is one JSON document; what is queried or changes often has a column. A container has a name for
# itself alone.
CONTAINERS = """
CREATE TABLE containers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_ns INTEGER NOT NULL,
    record TEXT NOT NULL,
    state TEXT NOT NULL
) STRICT;

CREATE TABLE volumes (
    name TEXT PRIMARY KEY,
    created_ns INTEGER NOT NULL,
    anonymous INTEGER NOT NULL,
    labels TEXT NOT NULL,
    options TEXT NOT NULL
) STRICT;
"""

RESUMABLE_LEASES = "ALTER TABLE leases ADD COLUMN resumable INTEGER NOT NULL DEFAULT 0;"

# A build step's result by what the step meant; refs (kind build-cache) keep its snapshot and layers.
BUILD_CACHE = """
CREATE TABLE build_cache (
    key TEXT PRIMARY KEY,
    result TEXT NOT NULL,
    description TEXT NOT NULL,
    size INTEGER NOT NULL,
    created_ns INTEGER NOT NULL,
    used_ns INTEGER NOT NULL,
    uses INTEGER NOT NULL
) STRICT;
CREATE INDEX build_cache_by_result ON build_cache (result);

CREATE TABLE build_lines (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""

MIGRATIONS = (
    Migration("core", CORE),
    Migration("images", IMAGES),
    Migration("networks", NETWORKS),
    Migration("layers", LAYERS),
    Migration("compressed", COMPRESSED),
    Migration("containers", CONTAINERS),
    Migration("resumable-leases", RESUMABLE_LEASES),
    Migration("build-cache", BUILD_CACHE),
)
