"""The media process's side of recordings and live streams: their processes, their rows, and who is told.

Outlets            the recordings and streams of this process, and what functions ask of them
  Egress           one of them, from its start to its end: begun anew where its process dies
    EgressProcess  one child and its socket
    Tap            what it gets of the room (`sfu.tap`)
    Book           its row in the store, by the words of its kind
"""
