"""In: a results folder. Out: one HTML page that needs neither network nor server."""
