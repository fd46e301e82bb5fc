/// Something to be told to others.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cue {
    /// A beat, as a rule one that is to come.
    Beat(Beat),
    /// The tempo is known now, or another, or (`None`) there is no beat any more.
    Tempo {
        /// In beats per minute.
        bpm: Option<f64>,
    },
    /// The energy changes.
    Transition(Transition),
}

/// A predicted beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beat {
    /// The tempo, in beats per minute.
    pub bpm: Option<f64>,
    /// The chance that the beat comes within 70 ms of when it is told to come.
    pub confidence: f32,
    /// The standard deviation of that time, in seconds.
    pub std_dev: f64,
    /// Where in the bar it is, if that is known.
    pub bar: Option<Bar>,
}

/// A place in a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Which beat of the bar, from 1, the downbeat.
    pub beat: u8,
    /// How many beats the bar has.
    pub beats: u8,
    /// The belief in just this place, from 0 to 1.
    pub confidence: f32,
}

/// A change of the energy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// What changes: `build`, `drop`, `rise`, `fall` or `stable`.
    pub kind: &'static str,
    /// By how many decibels.
    pub change: f32,
    /// How likely that is so, from 0 to 1.
    pub confidence: f32,
}
