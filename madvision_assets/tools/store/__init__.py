"""Where results lie: objects in a folder, in memory or in S3, and the stages' documents among them.

Here belongs everything that knows a key, a URI or obstore. What does not: what a document says (``domain``).
"""
