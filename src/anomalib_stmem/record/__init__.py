"""What is kept of a judged video: scores, events, pictures and films, in one folder per video."""
