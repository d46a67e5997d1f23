"""The WSGI interface (PEP 3333): from a request to an application's response.

Nothing here does I/O: what goes to the client is handed to a `Sink`, what comes of a body from
the client is asked of a `Source`, both of which the driver of the connection implements.
"""
