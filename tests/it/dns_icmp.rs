//! the dns and icmp checks against servers that misbehave.
