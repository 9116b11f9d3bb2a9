"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): a room's media by one HTTP request.

    POST   /whip/{room_id}               an offer to send      -> 201, the answer, Location, ETag
    POST   /whep/{room_id}               an offer to receive   -> the same
    PATCH  /whip/{room_id}/{session_id}  ICE: candidates -> 204, a restart -> 200
    DELETE /whip/{room_id}/{session_id}  the end -> 200

Who publishes by WHIP, or watches by WHEP, is a participant like any other (decision 18): the seat, the token and the
room's rules are those of a join, and the others are told. What a client would hear on a WebSocket, it does not hear.
"""
