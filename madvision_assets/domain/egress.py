"""What our proxy says of itself: a client shows these words, by which its error is known to be the proxy's."""

REFUSED = "MadVision refused a non-public address"
UNRESOLVED = "MadVision could not resolve the host"
UNREACHABLE = "MadVision could not connect to the host"
BROKEN_ANSWER = "MadVision got no answer from the host"
BAD_REQUEST = "MadVision takes CONNECT and http requests only"
