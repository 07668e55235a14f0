//! Load generation as a library: a plan in, measurements out.
