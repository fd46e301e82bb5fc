//! The words of the vocabulary, and where their curves come from.
//!
//! All settings are our own; no data set's curve is copied. They are about as strong as Social-EQ's listeners had
//! it, who tilted sounds by 1.4 to 1.7 dB per octave for dark, warm, bright, crisp, deep and tinny. A direction is
//! stated where the tilt is strong and the source is clear about it. What each follows:
//!
//! - SAFE: settings that users of an equaliser stored under a word (Stables, Enderby, De Man, Fazekas and
//!   Reiss, "SAFE: a system for the extraction and retrieval of semantic audio descriptors", 2014).
//! - Social-EQ: curves learnt from listeners' ratings (Cartwright and Pardo, "Social-EQ: crowdsourcing an
//!   equalization descriptor map", ISMIR 2013).
//! - Usage: what engineers call an excess or a lack in a range of frequencies, as handbooks chart it (Katz,
//!   "Mastering Audio"; Izhaki, "Mixing Audio").

use crate::Direction::{self, Falls, Open, Rises};

/// Name, the 13 parameters of [`SemanticEq`](crate::SemanticEq), direction, source.
pub(crate) type Entry = (&'static str, [f64; 13], Direction, &'static str);

const SOCIAL_FALLS: &str = "own setting; falls over frequency, as in Social-EQ (2013)";
const SOCIAL_RISES: &str = "own setting; rises over frequency, as in Social-EQ (2013)";

#[rustfmt::skip]
pub(crate) const WORDS: &[Entry] = &[
    ("neutral", [0.0, 150.0, 0.0, 300.0, 0.7, 0.0, 1000.0, 0.7, 0.0, 3000.0, 0.7, 0.0, 7000.0], Open, "by definition: the mean programme, nothing added"),
    ("warm",    [1.6, 150.0, 5.6, 270.0, 0.6, -1.6, 1400.0, 0.7, 0.0, 3300.0, 0.7, -4.8, 6000.0], Falls, "own setting; shaped like the mean of SAFE (2014)"),
    ("bright",  [-5.6, 180.0, -1.6, 350.0, 0.7, 0.0, 1000.0, 0.7, 4.0, 3100.0, 0.7, 5.6, 5000.0], Rises, "own setting; shaped like the mean of SAFE (2014)"),
    ("dark",    [1.6, 180.0, 2.4, 280.0, 0.7, 0.0, 1000.0, 0.7, -2.4, 3000.0, 0.7, -8.8, 3500.0], Falls, SOCIAL_FALLS),
    ("mellow",  [0.8, 180.0, 2.4, 320.0, 0.7, 0.0, 1000.0, 0.7, -4.0, 3000.0, 0.7, -5.6, 5000.0], Falls, SOCIAL_FALLS),
    ("deep",    [7.2, 190.0, 0.0, 160.0, 0.7, 0.0, 1000.0, 0.7, -1.6, 2500.0, 0.7, -6.4, 3500.0], Falls, SOCIAL_FALLS),
    ("harsh",   [-3.2, 220.0, 0.0, 300.0, 0.7, 1.6, 1500.0, 0.7, 8.0, 3000.0, 0.9, 2.4, 7000.0], Rises, SOCIAL_RISES),
    ("crisp",   [-4.8, 200.0, -1.6, 350.0, 0.7, 0.0, 1000.0, 0.7, 3.2, 4000.0, 0.8, 6.4, 5500.0], Rises, SOCIAL_RISES),
    ("tinny",   [-11.2, 320.0, -3.2, 400.0, 0.7, 3.2, 1500.0, 1.0, 5.6, 3300.0, 1.0, 3.2, 6000.0], Rises, SOCIAL_RISES),
    ("airy",    [-1.6, 150.0, -1.6, 300.0, 0.7, 0.0, 1000.0, 0.7, 0.8, 5000.0, 0.7, 8.0, 10_000.0], Open, "own setting; usage: more above 10 kHz"),
    ("full",    [4.0, 120.0, 4.8, 240.0, 0.7, 0.0, 1000.0, 0.7, -1.6, 3500.0, 0.7, -0.8, 8000.0], Open, "own setting; usage: more at 100 to 300 Hz"),
    ("thin",    [-9.6, 180.0, -4.8, 300.0, 0.7, 0.0, 1000.0, 0.7, 1.6, 4000.0, 0.7, 2.4, 6000.0], Rises, "own setting; usage: less below 300 Hz"),
    ("boomy",   [6.4, 100.0, 8.0, 130.0, 1.2, -1.6, 900.0, 0.7, 0.0, 3000.0, 0.7, -1.6, 6000.0], Open, "own setting; usage: too much around 125 Hz"),
    ("muddy",   [0.0, 120.0, 8.0, 280.0, 0.9, 2.4, 500.0, 0.9, -4.8, 3500.0, 0.7, -6.4, 6000.0], Falls, "own setting; usage: too much at 200 to 400 Hz, no highs"),
    ("clear",   [-1.6, 120.0, -4.8, 300.0, 0.9, 0.0, 1000.0, 0.7, 4.8, 3500.0, 0.8, 3.2, 9000.0], Rises, "own setting; usage: less at 200 to 400 Hz, more at 3 to 5 kHz"),
    ("punchy", [0.0, 60.0, 6.4, 140.0, 0.9, -4.0, 400.0, 0.9, 4.8, 3500.0, 1.0, 0.0, 9000.0], Open, "own setting; usage: more below 200 Hz and at the attack, less between"),
    ("soft",    [0.8, 150.0, 0.8, 300.0, 0.7, 0.0, 1000.0, 0.7, -6.4, 3200.0, 0.8, -4.0, 8000.0], Open, "own setting; usage: less at 2 to 5 kHz; the opposite of hard"),
    ("smooth",  [1.6, 150.0, 0.8, 300.0, 0.7, -1.6, 1000.0, 0.7, -5.6, 3800.0, 1.0, -2.4, 9000.0], Open, "own setting; usage: no edge at 3 to 5 kHz"),
    ("hard",    [-1.6, 150.0, 0.0, 300.0, 0.7, 3.2, 1400.0, 0.8, 6.4, 2500.0, 0.8, 1.6, 8000.0], Rises, "own setting; usage: more at 1 to 4 kHz"),
    ("present", [0.0, 120.0, -1.6, 300.0, 0.7, 3.2, 2000.0, 0.8, 6.4, 3800.0, 0.9, 0.8, 9000.0], Open, "own setting; usage: more at 2 to 6 kHz"),
    ("distant", [-2.4, 120.0, 0.0, 300.0, 0.7, -1.6, 2000.0, 0.8, -6.4, 3500.0, 0.7, -5.6, 8000.0], Open, "own setting; usage: the opposite of present, and air lost"),
    ("boxy",    [-4.8, 120.0, 1.6, 350.0, 0.9, 8.8, 500.0, 1.2, 0.0, 3000.0, 0.7, -4.8, 7000.0], Open, "own setting; usage: too much at 300 to 700 Hz"),
    ("hollow",  [2.4, 150.0, -1.6, 350.0, 0.7, -9.6, 800.0, 0.7, 0.0, 3000.0, 0.7, 2.4, 6000.0], Open, "own setting; usage: too little at 500 Hz to 1 kHz"),
    ("nasal",   [-4.8, 200.0, 0.0, 300.0, 0.7, 8.8, 1000.0, 1.5, 0.0, 3000.0, 0.7, -3.2, 6000.0], Open, "own setting; usage: too much around 1 kHz"),
    ("honky",   [-3.2, 150.0, 0.0, 300.0, 0.7, 9.6, 650.0, 1.5, 0.0, 3000.0, 0.7, -1.6, 6000.0], Open, "own setting; usage: too much at 500 to 800 Hz"),
    ("heavy",   [8.0, 100.0, 3.2, 180.0, 0.7, -1.6, 600.0, 0.8, 0.0, 3000.0, 0.7, -1.6, 7000.0], Open, "own setting; usage: more below 150 Hz"),
    ("light",   [-6.4, 140.0, -2.4, 250.0, 0.7, 0.0, 1000.0, 0.7, 0.8, 3500.0, 0.7, 3.2, 9000.0], Open, "own setting; usage: the opposite of heavy"),
    ("sharp",   [-1.6, 200.0, -1.6, 300.0, 0.7, 0.0, 1200.0, 0.7, 8.0, 4000.0, 1.2, 4.0, 8000.0], Open, "own setting; usage: more at 3 to 6 kHz"),
    ("dull",    [0.8, 150.0, 0.8, 300.0, 0.7, 0.0, 1000.0, 0.7, -3.2, 4000.0, 0.7, -9.6, 5500.0], Falls, "own setting; usage: too little above 4 kHz"),
    ("fat",     [3.2, 90.0, 7.2, 180.0, 0.8, 0.0, 1000.0, 0.7, -0.8, 3000.0, 0.7, -1.6, 8000.0], Open, "own setting; usage: more at 100 to 250 Hz"),
    ("rich",    [3.2, 110.0, 2.4, 250.0, 0.7, -0.8, 900.0, 0.7, 1.6, 3000.0, 0.7, 2.4, 10_000.0], Open, "own setting; usage: more at both ends"),
    ("open",    [-0.8, 120.0, -3.2, 350.0, 0.8, 0.0, 1000.0, 0.7, 1.6, 5000.0, 0.7, 6.4, 9000.0], Open, "own setting; usage: less at 350 Hz, more above 8 kHz"),
    ("sibilant", [-1.6, 150.0, 0.0, 300.0, 0.7, 0.0, 1000.0, 0.7, 9.6, 7000.0, 2.0, 1.6, 10_000.0], Open, "own setting; usage: too much at 5 to 9 kHz"),
    ("scooped", [4.8, 90.0, 0.0, 200.0, 0.7, -6.4, 600.0, 0.6, 1.6, 3500.0, 0.7, 4.8, 8000.0], Open, "own setting; usage: less in the middle"),
    ("cold",    [-1.6, 150.0, -5.6, 270.0, 0.6, 1.6, 1400.0, 0.7, 0.0, 3300.0, 0.7, 4.8, 6000.0], Rises, "own setting: the opposite of warm"),
    ("vintage", [-3.2, 60.0, 3.2, 200.0, 0.7, 1.6, 900.0, 0.7, -1.6, 5000.0, 0.7, -8.0, 7000.0], Open, "own setting; usage: the ends of old recordings rolled off"),
];
