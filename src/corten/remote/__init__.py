"""The registry client: names to bytes and bytes to names, over the distribution protocol.

    registries = Registries()                                     how each host is reached, its tokens, its connections
    repository = registries.repository(reference, credentials)    one repository there
    repository.manifest("latest")                                 → Fetched(media_type, digest, raw)
    repository.blob(descriptor, offset)                           → a stream that reconnects where it broke
    repository.push_blob(…), repository.push_manifest(…)

A module per concern:

    hosts        which addresses a domain has: Docker Hub's own rules, mirrors, who may speak plain HTTP
    transport    one request over a kept connection; redirects that never carry credentials to another host
    head         a deadline for the head of an answer
    proxies      which requests go through a proxy
    certificates whom TLS trusts: the system's authorities and Docker's certs.d
    challenge    what a 401 asks for
    tokens       bearer tokens, fetched once per scope, and basic authentication
    answers      a registry's error answer as one of our kinds
    repository   manifests, blobs, uploads (distribution-spec, end-2 to end-11)
    credentials  a name and password, or a token

A registry may be away, slow, lying or rate-limiting. Nothing it says is believed: sizes bound what is read, digests
decide what is kept, redirects stay on http(s), and a broken transfer goes on where it stopped.
"""

from corten.remote.credentials import ANONYMOUS, Credentials
from corten.remote.hosts import HostRules
from corten.remote.proxies import Proxies
from corten.remote.registries import Registries
from corten.remote.repository import Fetched, Repository

__all__ = ["ANONYMOUS", "Credentials", "Fetched", "HostRules", "Proxies", "Registries", "Repository"]
