"""What is true, whatever the world does.

Here belong the documents that the stages hand on, the rules that choose and cut clips, and the taxonomy of
failures. What does not: anything that reads a file, a clock, the network or the environment, and any import but
the standard library and pydantic.
"""
