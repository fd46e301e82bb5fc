//! Sample queue, framer, sliding windows, window functions and overlap-add.

#![forbid(unsafe_code)]
