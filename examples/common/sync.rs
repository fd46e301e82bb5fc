//! Beats to other programs and to instruments: `--osc`, `--midi`, `--nudge`.

use std::error::Error;

use clap::Args;
use upbeat::core::SampleRate;
use upbeat::sync::{MidiClockConfig, MidiOut, SyncOut};

#[derive(Args)]
pub(crate) struct SyncOptions {
    /// Tell beats, tempo and transitions by OSC to this address, ahead of time; may be given more than once.
    #[arg(long, value_name = "HOST:PORT")]
    osc: Vec<String>,
    /// Send a MIDI clock to this output: its name, or part of it (with the feature `midi`).
    #[arg(long, value_name = "PORT_NAME")]
    midi: Option<String>,
    /// Shift all that is told to others by so many milliseconds; negative is earlier.
    #[arg(long, value_name = "MS", default_value_t = 0.0, allow_negative_numbers = true)]
    nudge: f64,
}

impl SyncOptions {
    /// What tells others, if anybody is to be told.
    pub(crate) fn open(&self, rate: SampleRate) -> Result<Option<SyncOut>, Box<dyn Error>> {
        let mut out = SyncOut::new(rate);
        out.set_nudge(self.nudge / 1000.0).map_err(|error| error.to_string())?;
        for target in &self.osc {
            out.add_osc(target).map_err(|error| error.to_string())?;
        }
        if let Some(port) = &self.midi {
            let midi = MidiOut::open(port, &MidiClockConfig::default());
            out.add_midi(midi.map_err(|error| error.to_string())?);
        }
        Ok((!self.osc.is_empty() || self.midi.is_some()).then_some(out))
    }
}
