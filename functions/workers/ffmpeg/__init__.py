"""The worker that does jobs on media files with FFmpeg: takes a message, makes the outputs, keeps them."""
