"""What a file is, told by its content alone.

Nothing that a client says of a file is believed, and nothing of a file's content is looked at in a process that holds
secrets: decoders of media are where files attack. So there are two halves.

* The caller's half, `client`, starts a child for each file, gives it the bytes that it asks for, and waits for
  what it found. `sniff` looks at the first bytes only, by comparing, so it runs in the caller.
* The child's half, `python -m meet.probe`, is `sandbox` (nothing but one socket to the caller is open, and nothing
  more can be), `reader` (that socket as a file), and what reads: `tracks` (PyAV), `images` (Pillow), `documents`.

`kinds` has the table of every kind of file that is accepted.
"""
