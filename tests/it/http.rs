//! the http check against servers that misbehave.
