//! A service for [`upbeat`]'s audio analysis: audio goes in over a WebSocket, what it holds comes back at once.
//!
//! `cargo run --release -p upbeat-server` serves the page, the WebSockets and the HTTP interface at
//! <http://127.0.0.1:8000>; `docs/server.md` describes the protocol. This library is the same server, to be started
//! within another program:
//!
//! ```
//! use upbeat_server::{Config, Server};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let mut config = Config::default();
//! config.address = "127.0.0.1:0".parse()?; // any free port
//! let server = Server::bind(&config).await?;
//! println!("listening at http://{}", server.address());
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let server = tokio::spawn(server.run(async {
//!     let _ = stopped.await;
//! }));
//! let _ = stop.send(()); // what has come is analysed and answered, then it ends
//! server.await??;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Analysis runs on a fixed number of threads of its own, a few milliseconds of each stream in turn. Nothing that a
//! client sends makes memory grow beyond the [`Limits`].

#![forbid(unsafe_code)]

mod access;
mod config;
mod error;
mod governor;
mod histogram;
mod http;
mod listener;
mod message;
mod pool;
mod registry;
mod server;
mod socket;
mod stream;
mod summary;
mod sync;
pub mod wire;

pub use config::{Config, Limits};
pub use error::Error;
pub use server::Server;
