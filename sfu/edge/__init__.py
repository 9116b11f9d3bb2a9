"""The process that owns the public port: the page, sockets to their media process, the rest to the functions."""
