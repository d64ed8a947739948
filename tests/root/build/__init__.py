"""The builder, as root over an engine: goldens, the cache, mounts, hostile contexts, kills."""
