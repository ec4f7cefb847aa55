"""Rows of target/bench.json: ours and a peer's, measured in turns in one run."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Row:
    name: str
    peer: str
    unit: str
    ours: float
    theirs: float
    limit: float

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    def __str__(self) -> str:
        mark = "ok  " if self.ratio <= self.limit else "OVER"
        ours, theirs = f"{self.ours:10.1f}", f"{self.theirs:10.1f} {self.unit}"
        return f"{mark} {self.name:32} {ours} {theirs:16} ratio {self.ratio:6.3f} of {self.limit}  ({self.peer})"


def row(
    name: str, peer: str, unit: str, limit: float, ours: Callable[[], float], theirs: Callable[[], float], rounds: int = 7
) -> Row:
    """Medians of rounds in turns, after one round that is not counted."""
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    mine, other = (statistics.median(values) for values in zip(*pairs, strict=True))
    made = Row(name, peer, unit, mine, other, limit)
    print(made, flush=True)
    return made


def write(rows: list[Row], path: Path) -> None:
    """Puts the rows in the place of earlier ones of their names."""
    file = json.loads(path.read_text()) if path.exists() else {"rows": []}
    names = {row.name for row in rows}
    kept = [known for known in file["rows"] if known["name"] not in names]
    file["rows"] = kept + [as_json(row) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(file, indent=2) + "\n")


def as_json(row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "ours": row.ours,
        "peer": row.theirs,
        "peer_name": row.peer,
        "unit": row.unit,
        "ratio": row.ratio,
    }
