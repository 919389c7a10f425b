"""The campaign of faults: the real system as processes, videos over time, and whatever can break breaking at moments.

``make chaos SEED=… FAULTS=…`` plays a plan that follows from its seed alone, waits until nothing more happens by
itself, and then asks whether anything was lost, doubled, stuck, or called something that it is not. How a campaign is
made up: ``plan`` (what happens when), ``world`` (the processes), ``videos``, ``faults`` (how each kind begins and
ends), ``points`` (where a process can be made to die between two writes), ``evidence`` and ``invariants`` (what must
hold afterwards), ``campaign`` (the program).
"""
