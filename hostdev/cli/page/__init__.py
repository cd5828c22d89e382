"""A fleet as one static page: the content, and what joins it with the style and the script beside it."""
