//! The words of the vocabulary, and where their curves come from.
//!
//! All settings are our own, in round numbers; no data set's curve is copied. What each follows:
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
    ("neutral", [0.0, 150.0,  0.0, 300.0, 0.7,  0.0, 1000.0, 0.7,  0.0, 3000.0, 0.7,  0.0, 7000.0], Open, "by definition: the mean programme, nothing added"),
    ("warm",    [1.0, 150.0,  3.5, 270.0, 0.6, -1.0, 1400.0, 0.7,  0.0, 3300.0, 0.7, -3.0, 6000.0], Falls, "own setting; shaped like the mean of SAFE (2014)"),
    ("bright",  [-3.5, 180.0, -1.0, 350.0, 0.7, 0.0, 1000.0, 0.7,  2.5, 3100.0, 0.7,  3.5, 5000.0], Rises, "own setting; shaped like the mean of SAFE (2014)"),
    ("dark",    [1.0, 180.0,  1.5, 280.0, 0.7,  0.0, 1000.0, 0.7, -1.5, 3000.0, 0.7, -5.5, 3500.0], Falls, SOCIAL_FALLS),
    ("mellow",  [0.5, 180.0,  1.5, 320.0, 0.7,  0.0, 1000.0, 0.7, -2.5, 3000.0, 0.7, -3.5, 5000.0], Falls, SOCIAL_FALLS),
    ("deep",    [4.5, 190.0,  0.0, 160.0, 0.7,  0.0, 1000.0, 0.7, -1.0, 2500.0, 0.7, -4.0, 3500.0], Falls, SOCIAL_FALLS),
    ("harsh",   [-2.0, 220.0, 0.0, 300.0, 0.7,  1.0, 1500.0, 0.7,  5.0, 3000.0, 0.9,  1.5, 7000.0], Rises, SOCIAL_RISES),
    ("crisp",   [-3.0, 200.0, -1.0, 350.0, 0.7, 0.0, 1000.0, 0.7,  2.0, 4000.0, 0.8,  4.0, 5500.0], Rises, SOCIAL_RISES),
    ("tinny",   [-7.0, 320.0, -2.0, 400.0, 0.7, 2.0, 1500.0, 1.0,  3.5, 3300.0, 1.0,  2.0, 6000.0], Rises, SOCIAL_RISES),
    ("airy",    [-1.0, 150.0, -1.0, 300.0, 0.7, 0.0, 1000.0, 0.7,  0.5, 5000.0, 0.7,  5.0, 10_000.0], Rises, "own setting; usage: more above 10 kHz"),
    ("full",    [2.5, 120.0,  3.0, 240.0, 0.7,  0.0, 1000.0, 0.7, -1.0, 3500.0, 0.7, -0.5, 8000.0], Falls, "own setting; usage: more at 100 to 300 Hz"),
    ("thin",    [-6.0, 180.0, -3.0, 300.0, 0.7, 0.0, 1000.0, 0.7,  1.0, 4000.0, 0.7,  1.5, 6000.0], Rises, "own setting; usage: less below 300 Hz"),
    ("boomy",   [4.0, 100.0,  5.0, 130.0, 1.2, -1.0, 900.0,  0.7,  0.0, 3000.0, 0.7, -1.0, 6000.0], Falls, "own setting; usage: too much around 125 Hz"),
    ("muddy",   [0.0, 120.0,  5.0, 280.0, 0.9,  1.5, 500.0,  0.9, -3.0, 3500.0, 0.7, -4.0, 6000.0], Falls, "own setting; usage: too much at 200 to 400 Hz, no highs"),
    ("clear",   [-1.0, 120.0, -3.0, 300.0, 0.9, 0.0, 1000.0, 0.7,  3.0, 3500.0, 0.8,  2.0, 9000.0], Rises, "own setting; usage: less at 200 to 400 Hz, more at 3 to 5 kHz"),
    ("punchy",  [0.0, 60.0,   4.0, 100.0, 1.1, -2.5, 400.0,  0.9,  3.0, 3500.0, 1.0,  0.0, 9000.0], Open, "own setting; usage: more at 100 Hz and at the attack, less between"),
    ("soft",    [0.5, 150.0,  0.5, 300.0, 0.7,  0.0, 1000.0, 0.7, -4.0, 3200.0, 0.8, -2.5, 8000.0], Falls, "own setting; usage: less at 2 to 5 kHz; the opposite of hard"),
    ("smooth",  [1.0, 150.0,  0.5, 300.0, 0.7, -1.0, 1000.0, 0.7, -3.5, 3800.0, 1.0, -1.5, 9000.0], Falls, "own setting; usage: no edge at 3 to 5 kHz"),
    ("hard",    [-1.0, 150.0, 0.0, 300.0, 0.7,  2.0, 1400.0, 0.8,  4.0, 2500.0, 0.8,  1.0, 8000.0], Rises, "own setting; usage: more at 1 to 4 kHz"),
    ("present", [0.0, 120.0, -1.0, 300.0, 0.7,  2.0, 2000.0, 0.8,  4.0, 3800.0, 0.9,  0.5, 9000.0], Open, "own setting; usage: more at 2 to 6 kHz"),
    ("distant", [-1.5, 120.0, 0.0, 300.0, 0.7, -1.0, 2000.0, 0.8, -4.0, 3500.0, 0.7, -3.5, 8000.0], Open, "own setting; usage: the opposite of present, and air lost"),
    ("boxy",    [-3.0, 120.0, 1.0, 350.0, 0.9,  5.5, 500.0,  1.2,  0.0, 3000.0, 0.7, -3.0, 7000.0], Open, "own setting; usage: too much at 300 to 700 Hz"),
    ("hollow",  [1.5, 150.0, -1.0, 350.0, 0.7, -6.0, 800.0,  0.7,  0.0, 3000.0, 0.7,  1.5, 6000.0], Open, "own setting; usage: too little at 500 Hz to 1 kHz"),
    ("nasal",   [-3.0, 200.0, 0.0, 300.0, 0.7,  5.5, 1000.0, 1.5,  0.0, 3000.0, 0.7, -2.0, 6000.0], Open, "own setting; usage: too much around 1 kHz"),
    ("honky",   [-2.0, 150.0, 0.0, 300.0, 0.7,  6.0, 650.0,  1.5,  0.0, 3000.0, 0.7, -1.0, 6000.0], Open, "own setting; usage: too much at 500 to 800 Hz"),
    ("heavy",   [5.0, 100.0,  2.0, 180.0, 0.7, -1.0, 600.0,  0.8,  0.0, 3000.0, 0.7, -1.0, 7000.0], Falls, "own setting; usage: more below 150 Hz"),
    ("light",   [-4.0, 140.0, -1.5, 250.0, 0.7, 0.0, 1000.0, 0.7,  0.5, 3500.0, 0.7,  2.0, 9000.0], Rises, "own setting; usage: the opposite of heavy"),
    ("sharp",   [-1.0, 200.0, -1.0, 300.0, 0.7, 0.0, 1200.0, 0.7,  5.0, 4000.0, 1.2,  2.5, 8000.0], Rises, "own setting; usage: more at 3 to 6 kHz"),
    ("dull",    [0.5, 150.0,  0.5, 300.0, 0.7,  0.0, 1000.0, 0.7, -2.0, 4000.0, 0.7, -6.0, 5500.0], Falls, "own setting; usage: too little above 4 kHz"),
    ("fat",     [2.0, 90.0,   4.5, 180.0, 0.8,  0.0, 1000.0, 0.7, -0.5, 3000.0, 0.7, -1.0, 8000.0], Falls, "own setting; usage: more at 100 to 250 Hz"),
    ("rich",    [2.0, 110.0,  1.5, 250.0, 0.7, -0.5, 900.0,  0.7,  1.0, 3000.0, 0.7,  1.5, 10_000.0], Open, "own setting; usage: more at both ends"),
    ("open",    [-0.5, 120.0, -2.0, 350.0, 0.8, 0.0, 1000.0, 0.7,  1.0, 5000.0, 0.7,  4.0, 9000.0], Rises, "own setting; usage: less at 350 Hz, more above 8 kHz"),
    ("sibilant", [-1.0, 150.0, 0.0, 300.0, 0.7, 0.0, 1000.0, 0.7,  6.0, 7000.0, 2.0,  1.0, 10_000.0], Rises, "own setting; usage: too much at 5 to 9 kHz"),
    ("scooped", [3.0, 90.0,   0.0, 200.0, 0.7, -4.0, 600.0,  0.6,  1.0, 3500.0, 0.7,  3.0, 8000.0], Open, "own setting; usage: less in the middle"),
    ("cold",    [-1.0, 150.0, -3.5, 270.0, 0.6, 1.0, 1400.0, 0.7,  0.0, 3300.0, 0.7,  3.0, 6000.0], Rises, "own setting: the opposite of warm"),
    ("vintage", [-2.0, 60.0,  2.0, 200.0, 0.7,  1.0, 900.0,  0.7, -1.0, 5000.0, 0.7, -5.0, 7000.0], Falls, "own setting; usage: the ends of old recordings rolled off"),
];
