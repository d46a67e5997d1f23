"""The compiled half of `gunicorn.workers.lookout`."""

from gunicorn.workers.lookout import Seen

def watch(cells: memoryview[float], bell: int, patience: float) -> Seen: ...
