//! How much is computed, for all streams together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::interval;
use upbeat::perf::{Governor, GovernorConfig, GovernorInput, PerfError, QualityLevel, Thresholds};

use crate::http::App;
use crate::stream::Stream;

/// Ten times a second: what real time asks of the threads that analyse.
///
/// The *load* is the time that the analysis of all live sound takes, as a share of what the threads have. A stream
/// counts with the sound that has come, but no more than real time: whoever sends a file as fast as the server
/// takes it, or uploads one, uses what is left, and costs nobody else their quality. The *latency* is how long
/// the oldest sound of a live stream has waited.
pub(crate) async fn govern(app: Arc<App>, pinned: Option<QualityLevel>) {
    let mut config = GovernorConfig::default();
    config.latency = Thresholds::new(0.1, 0.2, 0.4);
    // The settings are sound.
    let Ok(mut governor) = Governor::new(&config) else { return };
    governor.set_level(pinned);
    let mut ticks = interval(Duration::from_millis(100));
    let start = Instant::now();
    let mut then = start;
    let mut demand = Demand::default();
    loop {
        ticks.tick().await;
        let now = Instant::now();
        let elapsed = now.duration_since(std::mem::replace(&mut then, now)).as_secs_f64();
        let streams = app.registry.list();
        if let Some(costs) = streams.iter().find_map(|stream| stream.costs()) {
            // There are as many at all times; what was chosen before stands if they are refused.
            let _: Result<(), PerfError> = governor.set_costs(&costs);
        }
        demand.update(&streams, elapsed);
        let mut input =
            GovernorInput::at(start.elapsed().as_secs_f64()).with_latency(demand.waiting);
        let load = demand.sound * demand.cost / app.pool.threads() as f64;
        (input.load_p50, input.load_p99) = (Some(load), Some(load));
        for event in governor.update(&input) {
            tracing::info!("{event}");
        }
        let settings = governor.settings();
        app.registry.quality.send_if_modified(|now| std::mem::replace(now, settings) != settings);
    }
}

/// What the streams ask for, averaged over about a second.
#[derive(Default)]
struct Demand {
    known: HashMap<String, Known>,
    /// Seconds of live sound per second.
    sound: f64,
    /// Seconds of analysis per second of sound.
    cost: f64,
    /// How long the oldest live sound has waited, in seconds.
    waiting: f64,
}

#[derive(Clone, Copy, Default)]
struct Known {
    received: f64,
    analyzed: f64,
    took: f64,
    /// Seconds of sound that come per second.
    speed: f64,
}

impl Demand {
    /// Faster than this is not live: clocks differ, but not by so much.
    const LIVE: f64 = 1.2;

    fn update(&mut self, streams: &[Arc<Stream>], elapsed: f64) {
        let weight = 1.0 - (-elapsed).exp();
        let (mut analyzed, mut took) = (0.0, 0.0);
        (self.sound, self.waiting) = (0.0, 0.0);
        let mut known = HashMap::with_capacity(streams.len());
        for stream in streams {
            let before = self.known.get(&stream.id).copied().unwrap_or_default();
            let mut now = before;
            (now.received, now.analyzed, now.took) = stream.seconds();
            // A stream of the same name that has begun anew.
            let before = if now.received < before.received { Known::default() } else { before };
            let speed = (now.received - before.received) / elapsed.max(1e-3);
            now.speed = before.speed + weight * (speed - before.speed);
            analyzed += now.analyzed - before.analyzed;
            took += now.took - before.took;
            self.sound += now.speed.min(1.0);
            if now.speed < Self::LIVE {
                let waiting = stream.waiting().unwrap_or_default().as_secs_f64();
                self.waiting = self.waiting.max(waiting);
            }
            known.insert(stream.id.clone(), now);
        }
        self.known = known;
        if analyzed > 0.0 {
            let weight = if self.cost == 0.0 { 1.0 } else { weight };
            self.cost += weight * (took / analyzed - self.cost);
        }
    }
}
