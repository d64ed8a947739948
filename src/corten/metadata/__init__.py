"""The database: records, labels, leases, references, garbage collection, the event outbox."""

__all__: list[str] = []
