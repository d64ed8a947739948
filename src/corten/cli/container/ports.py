"""`--publish` and `--expose`: which ports of a container are reached from where.

>>> published(["127.0.0.1:8080-8081:80-81"])["81/tcp"]
[{'HostIp': '127.0.0.1', 'HostPort': '8081'}]
"""

from __future__ import annotations

from corten.cli.table import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    Bindings = dict[str, list[dict[str, str]]]

__all__ = ["exposed", "published"]


def published(specs: list[str]) -> Bindings:
    """The API's PortBindings of `--publish` values; Fault when one is wrong."""
    found: Bindings = {}
    for spec in specs:
        for port, binding in _bindings(_short_form(spec)):
            found.setdefault(port, []).append(binding)
    return found


def exposed(specs: list[str]) -> list[str]:
    """The ports that `--expose` values name, each as `80/tcp`."""
    found: list[str] = []
    for spec in specs:
        ports, _, protocol = spec.partition("/")
        if ":" in ports:
            raise Fault(f"invalid port format for --expose: {spec}")
        try:
            first, last = _range(ports)
        except ValueError as error:
            raise Fault(f"invalid range format for --expose: {spec}, error: {error}") from None
        found += [f"{port}/{protocol or 'tcp'}" for port in range(first, last + 1)]
    return found


def _short_form(spec: str) -> str:
    """`published=8080,target=80,protocol=tcp` in the short form; the short form as it is."""
    if "=" not in spec:
        return spec
    fields = {"protocol": "tcp"}
    for field in spec.split(","):
        key, mark, value = field.partition("=")
        if not mark or not key:
            raise Fault(f"invalid publish opts format (should be name=value but got '{field}')")
        fields[key] = value
    return f"{fields.get('published', '')}:{fields.get('target', '')}/{fields['protocol']}"


def _bindings(spec: str) -> list[tuple[str, dict[str, str]]]:
    address, host, container = _parts(spec)
    container, _, protocol = container.partition("/")
    protocol = protocol or "tcp"
    address = _address(address)
    if not container:
        raise Fault(f"no port specified: {spec}<empty>")
    first, last = _range_or_fault(container, "containerPort")
    host_first, host_last = _range_or_fault(host, "hostPort") if host else (0, 0)
    if host and last - first != host_last - host_first and last != first:
        raise Fault(f"invalid ranges specified for container and host Ports: {container} and {host}")
    if protocol.lower() not in ("tcp", "udp", "sctp"):
        raise Fault(f"invalid proto: {protocol}")
    found: list[tuple[str, dict[str, str]]] = []
    for step in range(last - first + 1):
        host_port = str(host_first + step) if host else ""
        if first == last and host_first != host_last:
            host_port = f"{host_port}-{host_last}"
        found.append((f"{first + step}/{protocol.lower()}", {"HostIp": address, "HostPort": host_port}))
    return found


def _parts(spec: str) -> tuple[str, str, str]:
    """The address, the host's ports and the container's ports of `[[ADDRESS:]HOST:]CONTAINER`."""
    rest, _, container = spec.rpartition(":")
    address, _, host = rest.rpartition(":")
    return address, host, container


def _address(text: str) -> str:
    if not text:
        return ""
    import _socket

    plain = text[1:-1] if text[0] == "[" and text[-1] == "]" else text
    try:
        _socket.inet_pton(_socket.AF_INET6 if ":" in plain else _socket.AF_INET, plain)
    except OSError:
        raise Fault(f"invalid IP address: {plain}") from None
    return plain


def _range_or_fault(text: str, name: str) -> tuple[int, int]:
    try:
        return _range(text)
    except ValueError:
        raise Fault(f"invalid {name}: {text}") from None


def _range(text: str) -> tuple[int, int]:
    if not text:
        raise ValueError("empty string specified for ports")
    first, mark, last = text.partition("-")
    low, high = _port(first), _port(last if mark else first)
    if high < low:
        raise ValueError(f"invalid range specified for port: {text}")
    return low, high


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > 65535:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)
