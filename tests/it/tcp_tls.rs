//! the tcp and tls checks against servers that misbehave.
