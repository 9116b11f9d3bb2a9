"""`python -m sfu doctor`: why media would not flow, in plain words, before anybody has to guess.

Each check asks one thing that a call needs and says what it found, and what to do about it. Checks only look: what
they write they take away again.
"""
