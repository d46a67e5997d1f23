from gunicorn.http import head, request
from gunicorn.http.policy import Policy

class Request(request.Request): ...

class HeadParser(head.HeadParser):
    def __init__(self, policy: Policy) -> None: ...
