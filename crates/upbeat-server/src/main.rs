//! The server as a program; `--help` lists its settings.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use upbeat::perf::QualityLevel;
use upbeat_server::{Config, Error, Server};

/// Audio analysis over WebSockets and HTTP, with a page that shows it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; other machines can connect only if this is not a loopback address, and a token is given
    #[arg(long, env = "UPBEAT_ADDRESS", default_value = "127.0.0.1:8000")]
    address: SocketAddr,
    /// What clients must know, as `Authorization: Bearer TOKEN` or `?token=TOKEN`
    #[arg(long, env = "UPBEAT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A site whose pages may connect, with its scheme and without a path; may be given several times
    #[arg(long = "origin", env = "UPBEAT_ORIGINS", value_delimiter = ',')]
    origins: Vec<String>,
    /// Threads that analyse [default: one per processor]
    #[arg(long)]
    threads: Option<usize>,
    /// How much is computed: low, medium, high or maximum [default: as much as can be done in real time]
    #[arg(long, value_parser = level)]
    level: Option<QualityLevel>,
    /// Streams at once [default: 256]
    #[arg(long)]
    max_streams: Option<usize>,
    /// Connections at once [default: 1024]
    #[arg(long)]
    max_connections: Option<usize>,
    /// Megabytes of one uploaded file [default: 200]
    #[arg(long)]
    max_upload: Option<u64>,
    /// Seconds that a stream waits to be resumed [default: 30]
    #[arg(long)]
    resume: Option<u64>,
}

impl Arguments {
    fn config(self) -> Config {
        let mut config = Config::default();
        config.address = self.address;
        config.token = self.token;
        config.origins = self.origins;
        config.threads = self.threads;
        config.level = self.level;
        let limits = &mut config.limits;
        limits.streams = self.max_streams.unwrap_or(limits.streams);
        limits.connections = self.max_connections.unwrap_or(limits.connections);
        limits.upload = self.max_upload.map_or(limits.upload, |megabytes| megabytes << 20);
        limits.resume = self.resume.map_or(limits.resume, Duration::from_secs);
        config
    }
}

fn level(name: &str) -> Result<QualityLevel, String> {
    let level = QualityLevel::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name));
    level.ok_or_else(|| "must be low, medium, high or maximum".into())
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).init();
    match serve(&Arguments::parse().config()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("upbeat-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: &Config) -> Result<(), Error> {
    let server = Server::bind(config).await?;
    println!("upbeat-server is at http://{}/", server.address());
    server.run(stop()).await?;
    println!("upbeat-server has ended");
    Ok(())
}

/// Waits for Ctrl-C, or for the system's request to end.
async fn stop() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    if let Ok(mut terminated) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        tokio::select! {
            _ = interrupted => {}
            _ = terminated.recv() => {}
        }
        return;
    }
    let _ = interrupted.await;
}
