"""DestinE's guide to processing services (requests, base64, json), rewritten."""

from __future__ import annotations

import asyncio
from pathlib import Path
import tempfile

from asynctasks import DespClient, LocalServer


async def main(base_url: str, username: str, token: str, folder: Path) -> None:
    async with DespClient(base_url, username=username, token=token) as client:
        # Discover a processing service
        async for service in client.select("services"):
            print(service["id"], service["name"])

        # Create a configuration and launch it
        collection = await client.insert(
            "collections", {"name": "test-file", "fileType": "OUTPUT_PRODUCT"}
        )
        task = await client.submit(
            "20",  # TestProcessor
            {"s2_input": "Insula is", "s3_input": "great!"},
            outputs={"result": collection["identifier"]},
            check_inputs=True,
        )

        # Monitor it until it has ended, however it ended
        async for status in task.updates():
            print(f"job {task.id}: {status.word}")
        [file] = await client.download_outputs(task, folder)
        print(file.name, "says:", await asyncio.to_thread(file.read_text))


async def demo() -> None:
    async with LocalServer(api_key="token") as server:
        with tempfile.TemporaryDirectory() as folder:
            await main(server.url, "user", "token", Path(folder))


if __name__ == "__main__":
    asyncio.run(demo())
