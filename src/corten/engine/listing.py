"""`ps`: the containers that filters let through, one short summary each (Docker's ContainerSummary)."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from corten.engine import images, inspection, links
from corten.engine.logfile import moment
from corten.engine.moment import SECOND, duration
from corten.engine.record import Container, State
from corten.engine.services import Services, now
from corten.model.errors import CortenError, InvalidArgument, NotFound
from corten.wire.filters import NONE, Filters

__all__ = ["containers", "status_text", "until"]

KNOWN = (
    "ancestor", "before", "expose", "exited", "health", "id", "isolation", "is-task", "label", "label!", "name",
    "network", "publish", "since", "status", "volume",
)  # fmt: skip
STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
HEALTHS = ("none", "starting", "healthy", "unhealthy")


def containers(
    services: Services, *, all: bool = False, limit: int = 0, size: bool = False, filters: Filters = NONE
) -> list[dict[str, Any]]:
    """The newest first. Without `all` only those that run, unless a filter asks for others."""
    accepts = predicate(services, filters.only(KNOWN))
    everything = all or limit > 0 or any(key in filters for key in ("status", "exited", "before", "since"))
    found = (c for c in services.catalog if (everything or c.state.is_up) and accepts(c))
    chosen = [c for _, c in zip(range(limit), found, strict=False)] if limit > 0 else list(found)
    names = images.ShownNames(services)
    lent = links.names(services)
    return [summary(services, container, names, lent.get(container.id, ()), size=size) for container in chosen]


def summary(
    services: Services, container: Container, names: images.ShownNames, lent: Iterable[str], *, size: bool = False
) -> dict[str, Any]:
    """One row; `lent` are the names that links give it beside its own."""
    record, state = container.record, container.state
    shown: dict[str, Any] = {
        "Id": container.id,
        "Names": [f"/{container.name}", *lent],
        "Image": names.of(record),
        "ImageID": record.image_id,
        "Command": " ".join(map(quoted, record.command)),
        "Created": record.created // SECOND,
        "Ports": port_list(services, container),
        "Labels": record.config.labels or {},
        "State": state.status,
        "Status": status_text(state),
        "HostConfig": {"NetworkMode": record.host.network_mode},
        "NetworkSettings": {"Networks": inspection.endpoint_settings(services, container)},
        "Mounts": inspection.mount_points(container),
    }
    return shown | (inspection.sizes(services, container) if size else {})


def quoted(word: str) -> str:
    """As dockerd joins a command for show: words with spaces in single quotes."""
    return f"'{word}'" if " " in word else word


def status_text(state: State) -> str:
    """`Up 5 minutes (healthy)`, `Exited (0) 2 hours ago` and the like."""
    if state.status == "restarting":
        return f"Restarting ({state.exit_code}) {duration(now() - state.finished)} ago"
    if state.is_up:
        note = "Paused" if state.status == "paused" else health_note(state)
        return f"Up {duration(now() - state.started)}" + (f" ({note})" if note else "")
    if state.status == "removing":
        return "Removal In Progress"
    if state.status == "dead":
        return "Dead"
    if state.status == "created" or not state.started:
        return "Created"
    return f"Exited ({state.exit_code}) {duration(now() - state.finished)} ago"


def health_note(state: State) -> str:
    if state.health is None:
        return ""
    return "health: starting" if state.health.status == "starting" else state.health.status


def port_list(services: Services, container: Container) -> list[dict[str, Any]]:
    """The ports as a flat list: one row for each binding, and one for each exposed port without."""
    rows: list[dict[str, Any]] = []
    for port, bindings in inspection.ports(services, container).items():
        number, _, protocol = port.partition("/")
        private: dict[str, Any] = {"PrivatePort": int(number.partition("-")[0]), "Type": protocol}
        for binding in bindings or ():
            rows.append({"IP": binding["HostIp"], **private, "PublicPort": int(binding["HostPort"])})
        if not bindings:
            rows.append(private)
    return rows


def until(filters: Filters) -> int | None:
    """The moment of an `until` filter in ns: a Unix time or, as Docker's client sends it, RFC 3339."""
    values = filters.values("until")
    if not values:
        return None
    if len(values) > 1:
        raise InvalidArgument("more than one until filter specified")
    text = values[0]
    try:
        return int(float(text) * SECOND)
    except ValueError:
        pass
    if at := moment(text):
        return at
    return now() - span(text)


def span(text: str) -> int:
    """A Go duration such as `1h30m` in ns."""
    units = {"h": 3600 * SECOND, "m": 60 * SECOND, "s": SECOND, "ms": SECOND // 1000}
    total, number, rest = 0, "", text
    while rest:
        if rest[0].isdigit() or rest[0] == ".":
            number, rest = number + rest[0], rest[1:]
            continue
        unit = "ms" if rest.startswith("ms") else rest[0]
        if unit not in units or not number:
            raise InvalidArgument(f"invalid duration: {text}")
        total, number, rest = total + int(float(number) * units[unit]), "", rest[len(unit) :]
    if number or not text:
        raise InvalidArgument(f"invalid duration: {text}")
    return total


Test = Callable[[Container], bool]


def predicate(services: Services, filters: Filters) -> Test:
    """All filters as one test; each key must hold, one of its values is enough."""
    tests = [make(services, filters.values(key)) for key, make in TESTS.items() if key in filters]

    def accepts(container: Container) -> bool:
        labels = container.record.config.labels or {}
        return all(test(container) for test in tests) and filters.labels(labels)

    return accepts


def by_name(_: Services, values: tuple[str, ...]) -> Test:
    """Docker matches a regular expression against `/name` and `name`; a broken one matches as plain text."""
    patterns = []
    for value in values:
        try:
            patterns.append(re.compile(value))
        except re.error:
            patterns.append(re.compile(re.escape(value)))
    return lambda c: any(p.search(f"/{c.name}") or p.search(c.name) for p in patterns)


def by_id(_: Services, values: tuple[str, ...]) -> Test:
    return lambda c: any(c.id.startswith(value) for value in values)


def by_status(_: Services, values: tuple[str, ...]) -> Test:
    for value in values:
        if value not in STATUSES:
            raise InvalidArgument(f"invalid filter 'status={value}'")
    return lambda c: c.state.status in values


def by_exit(_: Services, values: tuple[str, ...]) -> Test:
    if not all(value.lstrip("-").isdigit() for value in values):
        raise InvalidArgument(f"invalid filter 'exited={list(values)}'")
    codes = {int(value) for value in values}
    return lambda c: c.state.started > 0 and not c.state.is_up and c.state.exit_code in codes


def by_health(_: Services, values: tuple[str, ...]) -> Test:
    for value in values:
        if value not in HEALTHS:
            raise InvalidArgument(f"invalid filter 'health={value}'")
    return lambda c: (c.state.health.status if c.state.health else "none") in values


def by_ancestor(services: Services, values: tuple[str, ...]) -> Test:
    ids: set[str] = set()
    for value in values:
        try:
            ids |= images.descendants(services, value)
        except CortenError:
            continue
    return lambda c: c.record.image_id in ids or c.record.image in values


def by_network(_: Services, values: tuple[str, ...]) -> Test:
    def test(container: Container) -> bool:
        ids = {settings.network_id for settings in container.record.networks.values()}
        return any(v in container.record.networks or any(i and i.startswith(v) for i in ids) for v in values)

    return test


def by_volume(_: Services, values: tuple[str, ...]) -> Test:
    return lambda c: any(v in (p.name, p.destination) for p in c.record.mounts for v in values)


def before(services: Services, values: tuple[str, ...]) -> Test:
    limit = min(find(services, value).record.created for value in values)
    return lambda c: c.record.created < limit


def since(services: Services, values: tuple[str, ...]) -> Test:
    limit = max(find(services, value).record.created for value in values)
    return lambda c: c.record.created > limit


def find(services: Services, reference: str) -> Container:
    try:
        return services.catalog.find(reference)
    except NotFound:
        raise NotFound(f"No such container: {reference}") from None


def wanted_ports(values: Iterable[str]) -> set[str]:
    """`80`, `80/udp`, `8000-8010/tcp` as the single ports they mean."""
    ports: set[str] = set()
    for value in values:
        numbers, _, protocol = value.partition("/")
        first, _, last = numbers.partition("-")
        if not first.isdigit() or not (last or first).isdigit() or int(last or first) - int(first) > 65535:
            raise InvalidArgument(f"invalid port: {value}")
        ports |= {f"{number}/{protocol or 'tcp'}" for number in range(int(first), int(last or first) + 1)}
    return ports


def by_publish(services: Services, values: tuple[str, ...]) -> Test:
    wanted = wanted_ports(values)

    def test(container: Container) -> bool:
        bound = inspection.ports(services, container)
        return any(f"{b['HostPort']}/{p.partition('/')[2]}" in wanted for p, bs in bound.items() for b in bs or ())

    return test


def by_expose(_: Services, values: tuple[str, ...]) -> Test:
    wanted = wanted_ports(values)
    return lambda c: any(inspection.with_protocol(port) in wanted for port in c.record.config.exposed_ports or {})


def by_nothing(_: Services, values: tuple[str, ...]) -> Test:
    """`is-task` belongs to swarm, `isolation` to Windows: a container here is no task, and isolated as usual."""
    return lambda _: set(values) <= {"default", "false", "0"}


TESTS: dict[str, Callable[[Services, tuple[str, ...]], Test]] = {
    "name": by_name,
    "id": by_id,
    "status": by_status,
    "exited": by_exit,
    "health": by_health,
    "ancestor": by_ancestor,
    "network": by_network,
    "volume": by_volume,
    "before": before,
    "since": since,
    "publish": by_publish,
    "expose": by_expose,
    "is-task": by_nothing,
    "isolation": by_nothing,
}
