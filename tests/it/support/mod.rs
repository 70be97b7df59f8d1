//! Fake servers and small things that tests share.
