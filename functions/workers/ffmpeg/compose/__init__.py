"""One file out of a recording's tracks: who was there, side by side or with the speaker large, and all that was said.

    capture.py     fetches what the recorder left (`meet.domain.capture`): a file a track, manifests, levels
    tidy.py        child: joins the files of a track over takes, says what is in them
    speakers.py    pure: who speaks when, by the levels
    scenes.py      pure: from when to when which tiles are seen
    plan.py        what is painted and mixed, as the child is given it
    paint.py       child: decodes, paints and mixes, writes raw pictures and sound for FFmpeg to encode

`..composition` makes the file of a stopped recording with all of these, `..compose_run` starts the children and
`..compose_commands` says what FFmpeg is called with.

What came from the room is decoded in children alone, which have no secrets and are confined like FFmpeg itself.
Pictures are painted here and not by FFmpeg's filters, since those hold every track back until the most silent one
says something, and begin anew whenever a camera changes its size.
"""
