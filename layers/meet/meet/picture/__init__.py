"""Pictures of a room: who is where on them, with names, for files and for live streams alike."""
