//! From arguments to a configuration, end to end.
