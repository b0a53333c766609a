"""What FFmpeg complains of, collected where it is called: ``with Complaints() as said``, level, part and words of each.

Errors only, and all of them. They are said by us, in words, or not at all, because they may hold addresses with
passwords.
"""

import logging

import av

Complaint = tuple[int, str, str]
Complaints = av.logging.Capture  # of the calling thread

av.logging.set_level(av.logging.ERROR)
av.logging.set_skip_repeated(False)
logging.getLogger("libav").setLevel(logging.CRITICAL + 1)
