//! `usoryou run`: reload, signals, start failures.
