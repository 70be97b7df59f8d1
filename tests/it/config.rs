//! `usoryou validate` and `usoryou schema` as a user runs them.
