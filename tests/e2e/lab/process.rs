//! The real binary, `lamplighter run --config FILE`, as a process that can be killed.
