from collections.abc import Callable, Iterable, Mapping
from typing import Any

Steps = list[tuple[int, Any]]

def plan(pieces: Iterable[tuple[str | None, str]]) -> Steps | None: ...

class Line:
    def __init__(
        self,
        steps: Steps,
        python: Callable[[Any, Any, Mapping[str, Any], float], bytes],
        timestamp: Callable[[], str],
    ) -> None: ...
    def __call__(
        self, resp: Any, req: Any, environ: Mapping[str, Any], seconds: float
    ) -> bytes: ...
