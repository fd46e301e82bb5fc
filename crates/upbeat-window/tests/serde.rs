//! Window functions as a configuration file has them.

#![cfg(feature = "serde")]

use upbeat_window::{Statistic, Symmetry, WindowFunction};

#[test]
fn names_are_those_of_the_field() {
    for (window, text) in [
        (WindowFunction::BlackmanHarris, r#""blackman_harris""#),
        (WindowFunction::Kaiser { beta: 14.0 }, r#"{"kaiser":{"beta":14.0}}"#),
    ] {
        assert_eq!(serde_json::to_string(&window).unwrap(), text);
        assert_eq!(serde_json::from_str::<WindowFunction>(text).unwrap(), window);
    }
    assert_eq!(serde_json::to_string(&Symmetry::Periodic).unwrap(), r#""periodic""#);
    assert_eq!(serde_json::from_str::<Statistic>(r#""rms""#).unwrap(), Statistic::Rms);
}
