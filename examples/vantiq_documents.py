"""Documents in Vantiq: upload from disk and from memory, download piece by piece."""

from __future__ import annotations

import asyncio
from pathlib import Path

from asynctasks import LocalServer, Vantiq, VantiqResources


ITSELF = Path(__file__).read_bytes()


async def main() -> None:
    async with LocalServer() as server, Vantiq(server.url) as client:
        await client.set_access_token("developer")

        # A file is read while it is sent, however large it is.
        response = await client.upload(
            VantiqResources.DOCUMENTS, "text/x-python", __file__, "code/example.py"
        )
        print("uploaded:", response.body["content"])

        response = await client.upload(
            VantiqResources.DOCUMENTS, "text/plain", None, "notes/today", "all is well"
        )
        document = response.body
        response = await client.download(document["content"])
        print("text:", (await response.body.read()).decode())

        content = bytearray()
        response = await client.download("/docs/code/example.py")
        while piece := await response.body.read(1000):
            content += piece
        print("the same:", content == ITSELF)


if __name__ == "__main__":
    asyncio.run(main())
