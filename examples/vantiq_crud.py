"""Rows of a Vantiq type: insert, select, count, update, upsert, delete."""

from __future__ import annotations

import asyncio

from asynctasks import LocalServer, Vantiq, VantiqResources


MACHINE = {
    "name": "Machine",
    "properties": {"name": {"type": "String"}, "load": {"type": "Real"}},
    "naturalKey": ["name"],
}


async def main() -> None:
    async with LocalServer() as server, Vantiq(server.url) as client:
        # Of your own server: Vantiq("https://dev.vantiq.com") and your token.
        await client.authenticate("developer", "developer")

        response = await client.insert(VantiqResources.TYPES, MACHINE)
        print("type created:", response.is_success)
        for number in range(250):
            row = {"name": f"m{number:03}", "load": number / 250}
            await client.upsert("Machine", row)

        busy = {"load": {"$gte": 0.9}}
        print("busy:", (await client.count("Machine", busy)).count)
        await client.update("Machine", "m249", {"load": 0.0})
        response = await client.select("Machine", ["name"], busy, {"name": -1}, 3)
        print("busiest:", [row["name"] for row in response.body], "of", response.count)

        names = [row["name"] async for row in client.rows("Machine", ["name"])]
        print("rows of all pages:", len(names))

        response = await client.select_one("Machine", "m999")
        print("missing:", response.status_code, response.errors[0].code)
        print("deleted:", (await client.delete("Machine", busy)).count)


if __name__ == "__main__":
    asyncio.run(main())
