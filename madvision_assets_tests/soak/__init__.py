"""The soak: the real system under a load of many videos, whose stages wait instead of working.

``make soak VIDEOS=… MINUTES=…`` plays a plan that follows from its seed alone and tells what a video costs. How it is
made up: ``plan`` (what arrives when, how long each stage takes, what fails), ``pipeline`` (the code location whose
tools wait), ``usage`` (what processes and tables take), ``records`` (what the tables say of each video), ``report``
(the arithmetic, and the promises), ``simulation`` (the same in discrete events), ``soak`` (the program).
"""
