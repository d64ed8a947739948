"""What a Debian copyright file says of its package's licences, as an SPDX expression.

Machine-readable copyright files (DEP-5) name a licence in each ``License:`` field, by Debian's own short names. Names
that SPDX has too are translated; any other becomes a ``LicenseRef-``. A file in free prose says nothing that a machine
could trust, and the expression is then NOASSERTION.
"""

import re

__all__ = ["NOTHING", "expression", "references"]

NOTHING = "NOASSERTION"
FORMAT = re.compile(r"^Format(-Specification)?:.*(copyright-format|dep5?)", re.IGNORECASE | re.MULTILINE)
FIELD = re.compile(r"^License:[ \t]*(\S.*)$", re.MULTILINE)
VERSIONED = re.compile(r"^(A?GPL|LGPL|GFDL|GFDL-NIV)-([0-9](?:\.[0-9]+)*)(\+?)$", re.IGNORECASE)
NAMES = {
    "apache-2": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "artistic-2": "Artistic-2.0",
    "artistic-2.0": "Artistic-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "bsl-1.0": "BSL-1.0",
    "cc0": "CC0-1.0",
    "cc0-1.0": "CC0-1.0",
    "expat": "MIT",
    "fsfap": "FSFAP",
    "fsfullr": "FSFULLR",
    "isc": "ISC",
    "mit": "MIT",
    "mpl-1.1": "MPL-1.1",
    "mpl-2.0": "MPL-2.0",
    "openssl": "OpenSSL",
    "psf-2": "PSF-2.0",
    "unicode-dfs-2016": "Unicode-DFS-2016",
    "x11": "X11",
    "zlib": "Zlib",
}  # fmt: skip


def expression(copyright_file: str) -> str:
    """All licences of the file joined by AND, alternatives kept; NOASSERTION when it is not machine-readable."""
    if not FORMAT.search(copyright_file[:500]):
        return NOTHING
    fields = {one for field in FIELD.findall(copyright_file) if (one := of_field(field))}
    found = {part for one in fields for part in ([one] if " OR " in one else one.split(" AND "))}
    parts = sorted(f"({one})" if " OR " in one and len(found) > 1 else one for one in found)
    return " AND ".join(parts) or NOTHING


def of_field(field: str) -> str:
    """One License field: short names joined by ``and``, ``or`` and commas (a comma binds least)."""
    clauses = [re.split(r"\s+and\s+", one) for one in re.split(r",?\s+or\s+", field.strip().rstrip(",."))]
    joined = [" AND ".join(licence(name) for name in clause if name) for clause in clauses]
    several = len(joined) > 1
    return " OR ".join(f"({one})" if several and " AND " in one else one for one in dict.fromkeys(joined))


def licence(name: str) -> str:
    """One short name in SPDX's spelling; an exception or a remark behind it makes it a reference."""
    name = name.strip().strip(",")
    if match := VERSIONED.match(name):
        family = {"GFDL-NIV": "GFDL"}.get(match[1].upper(), match[1].upper())
        invariants = "-no-invariants" if match[1].upper() == "GFDL-NIV" else ""
        version = match[2] if "." in match[2] else f"{match[2]}.0"
        return f"{family}-{version}{invariants}-{'or-later' if match[3] else 'only'}"
    known = NAMES.get(name.lower())
    return known or "LicenseRef-" + (re.sub(r"[^0-9A-Za-z.]+", "-", name).strip("-.") or "unnamed")


def references(expressions: list[str]) -> list[str]:
    """Every LicenseRef that the expressions use, sorted."""
    return sorted({word for one in expressions for word in re.findall(r"LicenseRef-[0-9A-Za-z.-]+", one)})
