"""In: judged frames. Out: the files of a video (scores, events, films, pictures) and the text of a report."""
