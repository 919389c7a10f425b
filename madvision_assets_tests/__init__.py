"""Claims about MadVision's behaviour, room by room; ``fakes`` stand in only for what cannot be had."""
