"""A WebSocket server of another make: echo, and paths that misbehave as its library allows.

Usage: websocket_server.py PORT
"""
import asyncio
import sys

from websockets.asyncio.server import serve


async def handle(connection):
    path = connection.request.path
    if path == "/close":
        await connection.close(1012, "restart")
        return
    if path == "/error":
        raise RuntimeError("on purpose")  # the library closes with 1011
    if path == "/greets":
        await connection.send(["he", "llo ", "from ", "fragments"])
    async for message in connection:
        await connection.send(message)


async def main():
    port = int(sys.argv[1])
    async with serve(handle, "127.0.0.1", port, subprotocols=["echo.v1"] if len(sys.argv) > 2 else None):
        print("ready", flush=True)
        await asyncio.Future()


asyncio.run(main())
