"""Certificates for servers of tests on this machine."""

import ssl
from functools import cache

import trustme


@cache
def authority() -> trustme.CA:
    """Return the CA of all tests."""
    return trustme.CA()


def server_context(*names: str) -> ssl.SSLContext:
    """Return the context of a server that is called so; by default 127.0.0.1."""
    return context_with(authority().issue_cert(*(names or ("127.0.0.1",))))


def context_with(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    """Return the context of a client that trusts the CA of the tests."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context
