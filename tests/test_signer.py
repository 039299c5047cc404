"""One credential signs the requests to its origin, and is renewed once for all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from asynctasks.exceptions import InvalidArgument, InvalidState
from asynctasks.sansio.auth import Auth, AuthFlow, NoAuth, Resolve, api_key
from asynctasks.sansio.http import Headers, Request, Sleep
from asynctasks.signer import Signer, fetch


HOME = "https://acme.example"
ACCEPT = Headers({"Accept": "a/b"})


class Turning(Auth):
    """Signs with the number of its renewals; a renewal asks for it."""

    def headers(self) -> Mapping[str, str]:
        return {"X-Turn": str(self.generation)}

    def secrets(self) -> list[str]:
        return [f"secret-{self.generation}"]

    def renew(self) -> AuthFlow:
        number = yield Request("POST", "/turn", replayable=True)
        yield Sleep(number)
        self.generation += 1


def signed(signer: Signer, headers: Mapping[str, str] = ACCEPT) -> dict[str, str]:
    return dict(signer.sign(Request("GET", "/x", headers)).headers)


def test_paths_are_at_home() -> None:
    """What begins with a slash is a path, however many there are; else it is a URL."""
    signer = Signer(NoAuth(), HOME)
    urls = ["/x?y", "//evil.example/x", f"{HOME}/x"]

    assert [f"{HOME}/x?y", f"{HOME}//evil.example/x", f"{HOME}/x"] == [
        signer.absolute(url) for url in urls
    ]
    assert [signer.absolute(url) for url in urls] == [
        signer.sign(Request("GET", url)).url for url in urls
    ]


def test_signature_goes_nowhere_else() -> None:
    """A signed request to another origin is refused, an unsigned one is not."""
    signer = Signer(api_key("k"), HOME)
    away = Request("GET", "https://evil.example/x")
    unsigned = Request("GET", "https://evil.example/x", ACCEPT, anonymous=True)
    with pytest.raises(InvalidState, match=f"meant for {HOME} only"):
        signer.sign(away)

    assert ACCEPT is signer.sign(unsigned).headers


def test_new_credential_is_used_at_once() -> None:
    """Signed headers are kept only as long as their credential."""
    auth = Turning()
    signer = Signer(auth, HOME)
    before = [signed(signer), signed(signer)]
    auth.generation = 1

    assert [{"Accept": "a/b", "X-Turn": "0"}] * 2 == before
    assert {"Accept": "a/b", "X-Turn": "1"} == signed(signer)


def test_headers_that_change_are_signed_anew() -> None:
    """Only headers that cannot change are known again."""
    signer, headers = Signer(api_key("k"), HOME), {"A": "1"}
    before = signed(signer, headers)
    headers["A"] = "2"

    assert ["1", "2"] == [before["A"], signed(signer, headers)["A"]]


def test_ever_new_headers_are_not_collected() -> None:
    """However many there are, each is signed as it is."""
    signer = Signer(api_key("k"), HOME)
    many = [Headers({"N": str(number)}) for number in range(200)]

    assert [{"N": str(n), "apiKey": "k"} for n in range(200)] == [
        signed(signer, headers) for headers in many
    ]


def test_secrets_are_those_of_now() -> None:
    """After a renewal the new one is secret, and what a request holds always is."""
    auth = Turning()
    signer = Signer(auth, HOME)
    asked = Request("POST", "/x", confidential=("password",))
    before = signer.secrets(asked)
    auth.generation = 1

    assert {"secret-0", "password"} <= set(before)
    assert {"secret-1"} == set(signer.secrets(Request("GET", "/x")))


async def test_renewal_is_driven_unsigned() -> None:
    """Its requests go without the credential, and it is sent what they brought."""
    steps: list[Any] = []

    async def drive(flow: AuthFlow) -> None:
        steps.append(next(flow))
        steps.append(flow.send(7))
        with pytest.raises(StopIteration):
            flow.send(None)

    auth = Turning()
    await Signer(auth, HOME).renew(0, drive)
    request, sleep = steps

    assert (True, Sleep(7), 1) == (request.anonymous, sleep, auth.generation)


async def test_renewal_that_is_given_up_is_closed() -> None:
    """The flow ends where its driver ends."""
    closed = []

    class Asking(NoAuth):
        def renew(self) -> AuthFlow:
            try:
                yield Request("POST", "/token")
            finally:
                closed.append(True)

    async def drive(flow: AuthFlow) -> None:
        next(flow)
        flow.close()

    await Signer(Asking(), HOME).renew(0, drive)

    assert [True] == closed


async def test_credential_that_was_renewed_meanwhile() -> None:
    """Who comes late for a generation does not renew again."""
    driven = []

    async def drive(flow: AuthFlow) -> None:
        driven.append(flow)
        await asyncio.sleep(0)
        auth.generation += 1

    auth = Turning()
    signer = Signer(auth, HOME)
    await asyncio.gather(*[signer.renew(0, drive) for _ in range(5)])

    assert 1 == len(driven)


async def test_fetch() -> None:
    """What an async callable returns is awaited; another callable is refused."""

    async def source() -> str:
        return "k"

    given: Any = lambda: "hidden"  # noqa: E731
    assert "k" == await fetch(Resolve(source).source)

    with pytest.raises(InvalidArgument, match="must be async") as caught:
        await fetch(given)

    assert "hidden" not in str(caught.value)
