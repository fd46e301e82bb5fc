//! From the input to the output, in real time.

use crate::{Failure, Render};

#[cfg(not(feature = "device"))]
pub(crate) fn run(_: &Render) -> Result<(), Failure> {
    Err("sound cards need the feature: cargo run --release --features device --example eq -- --live".into())
}

#[cfg(feature = "device")]
pub(crate) use card::run;

#[cfg(feature = "device")]
mod card {
    use std::io::IsTerminal;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    use ratatui::crossterm::event::KeyCode;
    use upbeat::core::{SampleIndex, SampleRate};
    use upbeat::eq::{AdaptiveConfig, AdaptiveEqualizer, AdaptiveHandle};
    use upbeat::io::StreamFormat;
    use upbeat::io::live::{CardBackend, DuplexConfig, DuplexProcess, StreamSupervisor, Timing};

    use super::{Failure, Render};
    use crate::keys;

    /// The equalizer, made anew for each format, and the handle of the newest.
    struct Process {
        config: AdaptiveConfig,
        equalizer: Option<AdaptiveEqualizer>,
        at: SampleIndex,
        handle: Slot,
    }

    type Slot = Arc<Mutex<Option<AdaptiveHandle>>>;

    impl DuplexProcess for Process {
        fn prepare(&mut self, format: StreamFormat) {
            let Self { config, .. } = self;
            (config.sample_rate, config.channels) = (format.sample_rate(), format.channels());
            let (equalizer, handle) = AdaptiveEqualizer::new(config).ok().unzip();
            self.equalizer = equalizer;
            self.at = SampleIndex(0);
            *lock(&self.handle) = handle;
        }

        fn process(&mut self, interleaved: &mut [f32]) {
            if let Some(equalizer) = &mut self.equalizer {
                equalizer.process_in_place(self.at, interleaved);
                self.at += (interleaved.len() / self.config.channels) as u64;
            }
        }
    }

    pub(crate) fn run(options: &Render) -> Result<(), Failure> {
        let config = options.config(SampleRate::new(48_000)?, 2)?;
        AdaptiveEqualizer::new(&config)?; // words and limits are looked at before any device is
        let slot = Slot::default();
        let process =
            Process { config, equalizer: None, at: SampleIndex(0), handle: Arc::clone(&slot) };
        let supervisor = StreamSupervisor::duplex(
            Arc::new(CardBackend::new()),
            DuplexConfig::default(),
            Timing::default(),
            Box::new(process),
        )?;
        if !supervisor.wait_running(Duration::from_secs(5)) {
            let why = supervisor.status().last_error.map(|error| error.to_string());
            let why =
                why.unwrap_or_else(|| "there is no device, or none that starts within 5 s".into());
            return Err(format!(
                "cannot play from the default input to the default output: {why}; `cargo run --features device \
                 --example devices` lists what there is"
            )
            .into());
        }
        if !std::io::stdout().is_terminal() {
            for _ in 0..5 {
                std::thread::sleep(Duration::from_secs(1));
                println!("{:?}: {}", supervisor.status().state, line(&slot));
            }
            explain(&slot, "\n");
            return Ok(());
        }
        println!("up, down: intensity   f: freeze   b: bypass   e: explain   q: end\n");
        let (mut intensity, mut frozen, mut bypassed) = (options.intensity, false, false);
        keys::steer(&supervisor, |key| {
            match key {
                Some(KeyCode::Up) => {
                    intensity = (intensity + 0.1).min(AdaptiveConfig::MAX_INTENSITY);
                }
                Some(KeyCode::Down) => intensity = (intensity - 0.1).max(0.0),
                Some(KeyCode::Char('f')) => frozen = !frozen,
                Some(KeyCode::Char('b')) => bypassed = !bypassed,
                Some(KeyCode::Char('e')) => explain(&slot, "\r\n"),
                _ => {}
            }
            if key.is_some()
                && let Some(handle) = &mut *lock(&slot)
            {
                handle.set_intensity(intensity)?;
                handle.set_frozen(frozen);
                handle.set_bypassed(bypassed);
            }
            let flags = [(frozen, ", frozen"), (bypassed, ", bypassed")];
            let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
            Ok(format!("{:?}: {}{flags}", supervisor.status().state, line(&slot)))
        })
    }

    /// What is heard and done, on one line.
    fn line(slot: &Slot) -> String {
        let mut handle = lock(slot);
        let Some(status) = handle.as_mut().and_then(AdaptiveHandle::status) else {
            return "nothing came yet".into();
        };
        let Some(heard) = status.heard else {
            return format!("listening ({:.1} s of music)", status.seconds);
        };
        format!(
            "heard {:+.2} dB per octave, applied {:+.2}, {:+.1} dB in loudness",
            heard.tilt(),
            status.applied.tilt(),
            status.louder
        )
    }

    fn explain(slot: &Slot, end: &str) {
        match lock(slot).as_mut().and_then(AdaptiveHandle::explain) {
            Some(why) => print!("\r{}{end}", why.to_string().replace('\n', end)),
            None => print!("\rhalf a second of music is needed to tell its tone{end}"),
        }
    }

    fn lock(slot: &Slot) -> MutexGuard<'_, Option<AdaptiveHandle>> {
        slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
