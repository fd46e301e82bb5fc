"""Sends a WAV file to an upbeat server in real time, and prints what it hears.

    pip install websockets
    python upbeat_client.py SONG.wav [--server ws://127.0.0.1:8000] [--fast] [--rate 10]

Or, in a program of your own:

    async for message in analyse("SONG.wav", rate=10):
        if message["type"] == "analysis":
            print(message["timestamp"], message["pitch"])
"""

import argparse
import asyncio
import json
import struct
import time
import wave

import websockets

HEADER = struct.Struct("<2sBBHHIIQI")


def frame(sequence, first_sample, sample_rate, channels, samples):
    """A message of the framed format with 16-bit samples; see docs/server.md."""
    return HEADER.pack(b"UB", 1, 1, channels, 0, 1, sequence, first_sample, sample_rate) + samples


async def analyse(path, server="ws://127.0.0.1:8000", name="python-client", rate=10, fast=False, token=None):
    """Yields the messages of the server while the file is sent, in real time unless `fast`."""
    with wave.open(path) as wav:
        if wav.getsampwidth() != 2:
            raise ValueError(f"{path} must have 16-bit samples, it has {8 * wav.getsampwidth()} bits")
        sample_rate, channels = wav.getframerate(), wav.getnchannels()
        url = f"{server}/api/v1/stream/audio/{name}?framing=framed&sample_rate={sample_rate}&channels={channels}&rate={rate}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with websockets.connect(url, additional_headers=headers, compression=None) as socket:
            room = asyncio.Condition()
            until = 0  # the server has room for samples below this index

            async def send():
                start, first, sequence = time.monotonic(), 0, 0
                block = sample_rate // 50  # 20 ms
                while samples := wav.readframes(block):
                    count = len(samples) // (2 * channels)
                    async with room:
                        await room.wait_for(lambda: first + count <= until)
                    if not fast:
                        await asyncio.sleep(start + first / sample_rate - time.monotonic())
                    await socket.send(frame(sequence, first, sample_rate, channels, samples))
                    first, sequence = first + count, sequence + 1
                await socket.send('{"type":"stop"}')

            sending = asyncio.create_task(send())
            try:
                async for text in socket:
                    message = json.loads(text)
                    if message["type"] in ("stream_started", "ack"):
                        async with room:
                            until = message.get("analyzed", 0) + message["credit"]
                            room.notify_all()
                    elif message.get("sequence", 1) % 8 == 0:
                        await socket.send(json.dumps({"type": "ack", "sequence": message["sequence"]}))
                    yield message
            except websockets.ConnectionClosedOK:
                pass  # the last message has come, while an acknowledgement was on its way
            finally:
                sending.cancel()


async def main():
    parser = argparse.ArgumentParser(description="Analyse a WAV file with an upbeat server.")
    parser.add_argument("file")
    parser.add_argument("--server", default="ws://127.0.0.1:8000")
    parser.add_argument("--name", default="python-client")
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--token")
    parser.add_argument("--fast", action="store_true", help="as fast as the server can, not in real time")
    arguments = parser.parse_args()
    messages = analyse(
        arguments.file, arguments.server, arguments.name, arguments.rate, arguments.fast, arguments.token
    )
    async for message in messages:
        if message["type"] not in ("analysis", "ack"):
            print(json.dumps(message), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
