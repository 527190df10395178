"""How a sender domain is diagnosed: what is asked of DNS, and how the answers become one fix."""

from __future__ import annotations

from dataclasses import dataclass

from bounced.config import AdviceSettings
from bounced.model import Reason, Signature


@dataclass(frozen=True, slots=True)
class Means:
    """What we are, and what we have to offer to authors."""

    offers: AdviceSettings
    own_domains: frozenset[str]
    """`authors.own_domains`, comparison forms: From domains that are ours."""
    return_domains: frozenset[str]
    """`return_path.domains`, comparison forms; one of them may lie below an author's domain."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a mail was refused for; with the domain alone, somebody asks."""

    domain: str
    """The From domain, comparison form."""
    mail_from_domain: str | None = None
    """None: the first of our return domains is taken."""
    reason: Reason | None = None
    """A reason of auth-failure; None: nothing was refused."""
    reply: str | None = None
    """The decisive reply of the server that refused."""
    signatures: tuple[Signature, ...] = ()
    forwarded: bool = False
