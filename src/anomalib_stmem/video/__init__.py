"""In: the path of a file or folder, the number of a camera, or a URL. Out: frames with time stamps."""
