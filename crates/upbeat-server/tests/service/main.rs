//! The server as its clients see it: over real sockets, on this machine.

mod control;
mod faults;
mod http;
mod streams;
mod support;
