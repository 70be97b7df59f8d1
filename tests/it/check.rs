//! `usoryou check` as a user runs it.
