"""`--mount`: one comma-separated line that describes one mount."""

from __future__ import annotations

from corten.cli import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["read_mount"]

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_OPTIONS = {"volume": "VolumeOptions", "bind": "BindOptions", "image": "ImageOptions", "tmpfs": "TmpfsOptions"}
_RECURSION = {
    "enabled": "",
    "disabled": "NonRecursive",
    "writable": "ReadOnlyNonRecursive",
    "readonly": "ReadOnlyForceRecursive",
}


def read_mount(text: str) -> dict[str, Any]:
    """The API's Mount object; ValueError in Docker's words when a field is wrong."""
    mount: dict[str, Any] = {"Type": "volume"}
    for field in values.csv(text):
        key, mark, given = field.partition("=")
        key = key.lower()
        if mark:
            _set(mount, key, given, field)
        elif key in ("readonly", "ro", "volume-nocopy", "bind-nonrecursive"):
            _set(mount, key, "true", field)
        else:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
    _check(mount)
    return mount


def _set(mount: dict[str, Any], key: str, given: str, field: str) -> None:
    if key == "type":
        mount["Type"] = given.lower()
    elif key in ("source", "src"):
        mount["Source"] = _absolute(given) if given.startswith(".") else given
    elif key in ("target", "dst", "destination"):
        mount["Target"] = given
    elif key in ("readonly", "ro"):
        mount["ReadOnly"] = _truth(key, given)
    elif key == "consistency":
        mount["Consistency"] = given.lower()
    elif key.startswith("bind-"):
        _set_bind(mount.setdefault("BindOptions", {}), key, given, field)
    elif key.startswith("volume-"):
        _set_volume(mount.setdefault("VolumeOptions", {"Labels": {}, "DriverConfig": {}}), key, given, field)
    elif key == "image-subpath":
        mount.setdefault("ImageOptions", {})["Subpath"] = given
    elif key.startswith("tmpfs-"):
        _set_tmpfs(mount.setdefault("TmpfsOptions", {}), key, given, field)
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def _set_bind(options: dict[str, Any], key: str, given: str, field: str) -> None:
    if key == "bind-propagation":
        options["Propagation"] = given.lower()
    elif key == "bind-nonrecursive":
        options["NonRecursive"] = _truth(key, given)
    elif key == "bind-recursive":
        if given not in _RECURSION:
            raise ValueError(
                f'invalid value for {key}: {given} (must be "enabled", "disabled", "writable", or "readonly")'
            )
        if name := _RECURSION[given]:
            options[name] = True
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def _set_volume(options: dict[str, Any], key: str, given: str, field: str) -> None:
    name, _, setting = given.partition("=")
    if key == "volume-subpath":
        options["Subpath"] = given
    elif key == "volume-nocopy":
        try:
            options["NoCopy"] = _truth(key, given)
        except ValueError:
            raise ValueError(f"invalid value for volume-nocopy: {given}") from None
    elif key == "volume-label":
        options["Labels"].update({name: setting} if name else {})
    elif key == "volume-driver":
        options["DriverConfig"]["Name"] = given
    elif key == "volume-opt":
        options["DriverConfig"].setdefault("Options", {}).update({name: setting} if name else {})
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def _set_tmpfs(options: dict[str, Any], key: str, given: str, field: str) -> None:
    try:
        if key == "tmpfs-size":
            options["SizeBytes"] = values.memory(given)
        elif key == "tmpfs-mode":
            options["Mode"] = int(given, 8)
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    except ValueError as error:
        if str(error).startswith("unexpected"):
            raise
        raise ValueError(f"invalid value for {key}: {given}") from None


def _absolute(path: str) -> str:
    from os.path import abspath

    return abspath(path)


def _truth(key: str, given: str) -> bool:
    if given in _TRUE:
        return True
    if given in _FALSE:
        return False
    raise ValueError(f"invalid value for {key}: {given}")


def _check(mount: dict[str, Any]) -> None:
    kind = mount["Type"]
    if not kind:
        raise ValueError("type is required")
    if not mount.get("Target"):
        raise ValueError("target is required")
    for name, options in _OPTIONS.items():
        if options in mount and kind != name:
            raise ValueError(f"cannot mix '{name}-*' options with mount type '{kind}'")
    binding = mount.get("BindOptions") or {}
    if binding.get("ReadOnlyNonRecursive") and not mount.get("ReadOnly"):
        raise ValueError("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction")
    if binding.get("ReadOnlyForceRecursive"):
        if not mount.get("ReadOnly"):
            raise ValueError("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction")
        if binding.get("Propagation") != "rprivate":
            raise ValueError(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
            )
