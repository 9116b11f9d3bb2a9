"""RTMP as a publisher speaks it (Adobe's specification 1.0 of 2012, and AMF 0 of 2006).

Written here rather than left to FFmpeg: a stream key must not stand in the arguments of a process, the connection
must go to an address that was looked at, and FFmpeg goes on encoding while a server is away. What FFmpeg makes, FLV,
has the very messages that RTMP sends, so little is left to do: `amf`, `chunks`, `flv` and `client` turn bytes into
bytes, `push` has the socket.
"""
