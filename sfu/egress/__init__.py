"""What leaves a room other than to its people: recordings and live streams.

Theory of operation. One process per recording or stream, a child of the media process, which hands it the packets of
a room over a Unix socket (`wire`); here they become frames (`frames`), on one clock (`sync`), for a `Sink`: the
recorder writes them down as they came, the streamer decodes, mixes and encodes them. PyAV and FFmpeg live here and
nowhere near the media process. So whatever happens in here, a call goes on.
"""
