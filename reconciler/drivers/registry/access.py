"""Requests to registries, each with the proof of who asks that the registry wants.

Whoever has no login is anonymous until a registry asks for more. Whoever has one shows it where ``/v2/`` wants one: to
the anonymous some registries deny that an image is there, or list a part of what there is, without asking anything.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlencode

from reconciler import errors
from reconciler.drivers.registry import auth, hosts, redaction, transport
from reconciler.model.credentials import Credentials

_MAX_TOKEN_ANSWER = 256 << 10


class Access:
    """One caller's way to all registries: anonymous, or with a login for one of them. Safe for threads."""

    def __init__(self, patience: float, configured: hosts.Hosts) -> None:
        self._transports = _Transports(patience, configured)
        self._login: tuple[str, Credentials] | None = None
        self._begin()

    def acting(self, registry: str, credentials: Credentials) -> Access:
        """The same connections for a caller who has a login at ``registry``; nothing got by it serves anybody else."""
        view = copy.copy(self)
        view._login = (registry, credentials)
        view._begin()
        return view

    def _begin(self) -> None:
        self._answers = auth.Answers()
        self._login_sent = threading.Event()
        self._lock = threading.Lock()
        self._asked_base = False
        self._base_challenge: auth.Challenge | None = None

    def url(self, registry: str) -> str:
        """Where the registry is: its scheme and host."""
        return self._transports.of(registry).url

    def follow(self, registry: str, from_url: str, location: str) -> str:
        """See ``transport.Transport.follow``."""
        return self._transports.of(registry).follow(from_url, location)

    def get(
        self, registry: str, url: str, headers: dict[str, str], scope: str, method: str = "GET"
    ) -> transport.Answer:
        """A good answer, as a whole or in part; raises the error that another one means."""
        answer = self.ask(method, registry, url, headers, scope)
        if answer.status in (200, 206):
            return answer
        with answer:
            raise answer.failure()

    def ask(
        self,
        method: str,
        registry: str,
        url: str,
        headers: dict[str, str],
        scope: str,
        body: transport.Body | None = None,
    ) -> transport.Answer:
        """Any answer, but for the question who asks: that is answered, as far as this can be done. With a body no
        redirect is followed."""
        over = self._transports.of(registry)

        def once(proof: str) -> transport.Answer:
            found = (
                over.get(url, headers, proof, method) if body is None else over.send(method, url, headers, proof, body)
            )
            found.hide = partial(self._hide, registry)
            return found

        own = over.owns(url)
        proof, answered = self._proof(over, registry, url, scope) if own else ("", None)
        answer = once(proof)
        if answer.status != 401:
            return answer
        self._answers.drop(f"{registry} {scope}", proof)
        with contextlib.ExitStack() as closing:
            closing.push(answer)
            if not (own and answer.asked):
                raise errors.Permanent("it sent us to another host, which asks for a login: no other host is given one")
            wanted = answer.headers("WWW-Authenticate")
            challenge = self._parsed(registry, wanted) if wanted or not proof else answered
            if challenge is None or challenge == answered:  # no other proof can be had
                closing.pop_all()
                return answer
        return once(self._authorize(over, registry, scope, challenge))

    def _proof(
        self, over: transport.Transport, registry: str, url: str, scope: str
    ) -> tuple[str, auth.Challenge | None]:
        """The Authorization header to begin with: what was accepted before, or what ``/v2/`` asks for; in this case
        with the challenge that it answers."""
        kept = self._answers.get(f"{registry} {scope}")
        if kept or self._credentials(registry) is None or url == _base(over):
            return kept, None
        challenge = self._challenge_of_base(over)
        return (self._authorize(over, registry, scope, challenge), challenge) if challenge is not None else ("", None)

    def _challenge_of_base(self, over: transport.Transport) -> auth.Challenge | None:
        """What ``/v2/`` of the login's registry asks of the anonymous, if anything; it is asked once. Whatever goes
        wrong there is no reason to fail: the request itself follows."""
        with self._lock:
            if not self._asked_base:
                with contextlib.suppress(errors.PydockError), over.get(_base(over), {}) as answer:
                    if answer.status == 401 and answer.asked:
                        self._base_challenge = auth.parse_challenge(*answer.headers("WWW-Authenticate"))
                self._asked_base = True
            return self._base_challenge

    def _parsed(self, registry: str, headers: list[str]) -> auth.Challenge:
        """What the headers ask for. Raises ``Permanent`` if that cannot be answered."""
        try:
            return auth.parse_challenge(*headers)
        except errors.Permanent as error:  # which names schemes as the registry does
            raise errors.Permanent(self._hide(registry, error.message)) from None

    def _authorize(self, over: transport.Transport, registry: str, scope: str, challenge: auth.Challenge) -> str:
        """The Authorization header that answers the registry's challenge."""
        credentials = self._credentials(registry)
        if challenge.scheme == "bearer":
            token, life = self._token(over, registry, challenge, scope)
            made = f"Bearer {token}"
        elif credentials is not None:
            made, life = f"Basic {credentials.basic()}", auth.FOREVER
            self._login_sent.set()
        else:
            raise errors.LoginNeeded("it asks for a login")
        self._answers.put(f"{registry} {scope}", made, life)
        return made

    def _token(
        self, over: transport.Transport, registry: str, challenge: auth.Challenge, scope: str
    ) -> tuple[str, float]:
        """A new token with its life in seconds. The realm may be another host, but is told the password over TLS
        only."""
        realm = over.follow(over.url, challenge.realm)
        service = [("service", challenge.service)] if challenge.service else []
        query = urlencode([*service, *(("scope", each) for each in scope.split())])
        credentials = self._credentials(registry)
        proof = f"Basic {credentials.basic()}" if credentials is not None else ""
        with over.get(_with_query(realm, query), {}, proof) as answer:
            if credentials is not None:
                self._login_sent.set()
            answer.hide = partial(self._hide, registry)
            if answer.status != 200:
                raise answer.failure()
            return auth.parse_token(answer.whole(_MAX_TOKEN_ANSWER))

    def _credentials(self, registry: str) -> Credentials | None:
        return self._login[1] if self._login is not None and self._login[0] == registry else None

    @contextlib.contextmanager
    def named(self, registry: str, subject: str) -> Iterator[None]:
        """Puts what it is about in front of what went wrong, and behind it what helps where a login is needed."""
        try:
            yield
        except errors.PydockError as error:
            advice = f": {self._advice(registry)}" if isinstance(error, errors.LoginNeeded) else ""
            error.args = (f"{subject}: {error.message}{advice}",)
            raise

    def _advice(self, registry: str) -> str:
        if self._credentials(registry) is None:
            return f"if it exists, it needs a login: pydock login {registry}"
        if not self._login_sent.is_set():
            return f"it did not ask for the login for {registry}, so that was not sent"
        return f"the login is wrong, or has no right to this: pydock login {registry}"

    def _hide(self, registry: str, words: str) -> str:
        """The registry's words without the secrets that it was sent."""
        credentials = self._credentials(registry)
        secrets = self._answers.secrets(f"{registry} ")
        if credentials is not None:
            secrets += [credentials.basic(), credentials.password]
        return redaction.hide(words, secrets)


class _Transports:
    """One for each registry, made when first needed, and anew when its configuration or its files of TLS have changed.
    Safe for threads."""

    def __init__(self, patience: float, configured: hosts.Hosts) -> None:
        self._patience, self._configured = patience, configured
        self._lock = threading.Lock()
        self._made: dict[str, tuple[hosts.Place, transport.Transport]] = {}

    def of(self, registry: str) -> transport.Transport:
        place = self._configured.place(registry)
        with self._lock:
            former, found = self._made.get(registry, (None, None))
            if found is None or former != place:
                found = transport.Transport(place.url, self._patience, place.files, plain=place.plain)
                self._made[registry] = place, found
            return found


def _base(over: transport.Transport) -> str:
    """Where a registry says whether it wants a login (distribution spec, "Determining support")."""
    return f"{over.url}/v2/"


def _with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url
