//! The server as a whole.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{interval, sleep};

use crate::governor::govern;
use crate::http::{App, router};
use crate::listener::Limited;
use crate::pool::Pool;
use crate::{Config, Error};

/// A server that listens, and serves once it [runs](Self::run).
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
    app: Arc<App>,
}

impl Server {
    /// How long open answers may take at the end.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// Takes the address, and starts the threads that analyse.
    ///
    /// # Errors
    ///
    /// If a setting cannot work, the address is taken, or the system refuses threads.
    pub async fn bind(config: &Config) -> Result<Self, Error> {
        config.check()?;
        let listener = TcpListener::bind(config.address)
            .await
            .map_err(|source| Error::Bind { address: config.address, source })?;
        let address = listener.local_addr()?;
        let threads =
            config.threads.or_else(|| thread::available_parallelism().ok().map(usize::from));
        let pool = Arc::new(Pool::new(threads.unwrap_or(2))?);
        let app = Arc::new(App::new(config, pool));
        Ok(Self { listener, address, config: config.clone(), app })
    }

    /// The address that it listens on, with the port that was free if any was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is there; then what has come is analysed and answered, for 5 s at most.
    ///
    /// # Errors
    ///
    /// If the system refuses to go on.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let Self { listener, config, app, .. } = self;
        let router = router(app.clone(), &config);
        let sweeper = tokio::spawn(sweep(app.clone()));
        let governor = tokio::spawn(govern(app.clone(), config.level));
        let shutdown = app.shutdown.clone();
        let stopping = async move {
            stop.await;
            shutdown.send_replace(true);
        };
        let serving = axum::serve(Limited::new(listener, config.limits.connections), router)
            .with_graceful_shutdown(stopping);
        let mut down = app.shutdown.subscribe();
        let result: io::Result<()> = tokio::select! {
            // WebSockets are no requests any more: they are waited for on their own.
            result = async {
                let result = serving.await;
                app.until_closed().await;
                result
            } => result,
            () = async {
                let _ = down.wait_for(|down| *down).await;
                sleep(Self::PATIENCE).await;
            } => Ok(()),
        };
        sweeper.abort();
        governor.abort();
        // Threads that are at a piece of work end after it: not on a thread that others wait for.
        let pool = app.pool.clone();
        let _ = tokio::task::spawn_blocking(move || pool.stop()).await;
        result.map_err(Error::from)
    }
}

/// Ends what nobody comes back to.
async fn sweep(app: Arc<App>) {
    let mut ticks = interval(Duration::from_millis(250));
    loop {
        ticks.tick().await;
        app.registry.sweep();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}
