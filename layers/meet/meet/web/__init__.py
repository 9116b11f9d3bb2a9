"""What every function shares: the application around its routes, and nothing of what the routes do.

A request walks through these layers, outermost first, each a plain ASGI application:

    observability   request id, one line of log, counters; turns what nobody handled into a 500
    ratelimit       who is asking (bearer token), may they ask now, is the token revoked: one Redis round trip
    body            size, content type, and whether the JSON is something a route can be given
    idempotency     a POST that carries `Idempotency-Key` runs once (DynamoDB)
    FastAPI         the routes; `meet.errors` become answers

The second and last Redis round trip of a request is observability's, before the answer leaves.
"""
