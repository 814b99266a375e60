"""The floor: the same calls by aiohttp and nothing else; no suite, no prompt, no evidence. Run as a process of its own.

python -m benchmarks.evaluating.floor BASE CASES AT_ONCE     prints how many answers were right
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp

from benchmarks.evaluating import task


async def main(base: str, path: str, at_once: int) -> int:
    cases = iter([json.loads(line) for line in Path(path).read_text().splitlines()])
    right = 0

    async def work() -> None:
        nonlocal right
        for case in cases:
            asked = {"model": "tiny", "messages": [{"role": "user", "content": task.question(case["a"], case["b"])}]}
            async with session.post(f"{base}/chat/completions", json=asked) as reply:
                said = await reply.json()
            right += said["choices"][0]["message"]["content"] == case["answer"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as session:
        await asyncio.gather(*(work() for _ in range(at_once)))
    return right


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
