"""What the public sees: the HTTP API and its pages. Nothing stands here yet; the next issue builds it."""
