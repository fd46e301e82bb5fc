//! What a thread does for a stream.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::json;

use super::{Command, Engine, EngineConfig, Framing, Made, Stream, input};
use crate::message::{Problem, text};
use crate::pool::Job;
use crate::sync::Lock;

impl Stream {
    /// The next piece of work: changes, the audio after them, and whether that is all.
    fn take(&self) -> (Vec<Command>, Option<input::Chunk>, bool) {
        let mut intake = self.intake.hold();
        let chunk = intake.input.pop();
        let until = chunk.as_ref().map_or(u64::MAX, |chunk| chunk.at);
        let mut commands = Vec::new();
        while intake.commands.front().is_some_and(|(before, _)| *before <= until) {
            commands.extend(intake.commands.pop_front().map(|(_, command)| command));
        }
        let ending =
            intake.ending.is_some() && intake.input.is_empty() && intake.commands.is_empty();
        (commands, chunk, ending)
    }

    fn has_work(&self) -> bool {
        let intake = self.intake.hold();
        !intake.input.is_empty()
            || !intake.commands.is_empty()
            || (intake.ending.is_some() && !*self.ended.borrow())
    }

    fn apply(&self, engine: &mut Engine, command: Command) {
        let result = match command {
            Command::Reset => {
                engine.reset();
                Ok(())
            }
            Command::SetRate(rate) => {
                engine.set_rate(rate);
                Ok(())
            }
            Command::SetFeatures(features) => engine.set_features(features),
        };
        if let Err(error) = result {
            self.outbox.answer(text(&Problem::new("invalid_setting", error.to_string())));
        }
    }

    fn analyse(&self, engine: &mut Engine, chunk: &input::Chunk, made: &mut Vec<Made>) {
        let EngineConfig { rate, channels, .. } = self.settings.engine;
        let start = Instant::now();
        if let Some(origin) = chunk.origin {
            engine.begin(origin);
        }
        engine.process(chunk.at, &chunk.interleaved, chunk.gap, made);
        let took = start.elapsed();
        let samples = (chunk.interleaved.len() / channels) as u64;
        let analysed = chunk.at + samples;
        self.measures.hold().analysed(samples, took, chunk.arrived.elapsed(), engine.stats());
        if self.settings.framing == Framing::Framed {
            let input = &self.intake.hold().input;
            self.outbox.acknowledge(text(&json!({
                "type": "ack",
                "sequence": chunk.sequence,
                "analyzed": analysed,
                "timestamp": rate.seconds(analysed),
                "credit": input.capacity(),
            })));
        }
    }
}

impl Job for Stream {
    fn run(&self) -> bool {
        if *self.ended.borrow() {
            return false;
        }
        let (commands, chunk, ending) = self.take();
        let mut made = Vec::new();
        let mut engine = self.engine.hold();
        for command in commands {
            self.apply(&mut engine, command);
        }
        if let Some(chunk) = &chunk {
            engine.govern(&self.quality.borrow(), &mut made);
            self.analyse(&mut engine, chunk, &mut made);
        }
        if ending {
            engine.finish(&mut made);
        }
        drop(engine);
        self.tell(made);
        if ending {
            self.finish("stream_stopped");
            return false;
        }
        self.scheduled.store(false, Ordering::Release);
        self.has_work() && !self.scheduled.swap(true, Ordering::AcqRel)
    }

    fn failed(&self) {
        let problem = Problem::new("internal", "the analysis has failed; start another stream");
        self.outbox.answer(text(&problem));
        self.finish("stream_failed");
    }
}

impl Stream {
    fn finish(&self, what: &'static str) {
        let stats = self.stats();
        let message = text(&json!({ "type": what, "stream_id": self.id, "stats": stats }));
        let last = |sequence| Made { text: message.clone(), is_state: false, sequence };
        let outboxes: Vec<_> = self.watchers.hold().iter().filter_map(Weak::upgrade).collect();
        for outbox in outboxes.iter().chain([&self.outbox]) {
            outbox.tell([last(0)].into_iter());
        }
        let ending = self.intake.hold().ending;
        let (code, reason) = ending.unwrap_or((1011, "the analysis has failed"));
        self.outbox.close(code, reason);
        self.ended.send_replace(true);
    }
}
