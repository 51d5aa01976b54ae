"""How the way to a server is talked about: URLs without passwords, and variables that may stand in the way."""

import os
import re
from collections.abc import Mapping

_NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


def without_account(url: str) -> str:
    """A URL as it is printed and recorded: without user name and password, also if it is not a valid one.

    >>> [without_account(url) for url in ("https://me:secret@host/v1", "me:secret@host/v1", "https://host/a@b")]
    ['https://host/v1', 'host/v1', 'https://host/a@b']
    """
    return re.sub(r"^(\s*[\w+.-]*://|)[^/?#]*@", r"\1", url)


def variables_in_the_way(*more: str, environment: Mapping[str, str] | None = None) -> str:
    """ "; correct or unset HTTPS_PROXY": the variables that are set and that a download depends on; empty if none is.

    more: names that only this download depends on.

    >>> variables_in_the_way("HF_ENDPOINT", environment={"https_proxy": "ftp://x", "HF_ENDPOINT": "x"})
    '; correct or unset https_proxy, HF_ENDPOINT'
    """
    environment = os.environ if environment is None else environment
    set_here = [name for known in (*_NAMES, *more) for name in (known, known.lower()) if environment.get(name)]
    return f"; correct or unset {', '.join(set_here)}" if set_here else ""
