from typing import Any


def test_x(place: Any) -> None:
    import time

    place.rows("raw/a.jsonl", [{"id": i, "text": f"hello world {i} this is a text of some words"} for i in range(20)])
    place.spec(sources=[{"name": "a", "files": "raw/a.jsonl", "key": "id"}])
    for _ in range(3):
        t = time.time()
        r = place.build()
        print(time.time() - t, r.message)
        place.adds_up(r)
        place.rows("raw/a.jsonl", [{"id": i, "text": f"hello world {i} this is a text of some words"} for i in range(20 + _)])
