// Does nothing: whether a browser takes it tells whether the box's certificate is trusted.
