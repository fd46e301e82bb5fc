//! Window functions against `scipy.signal.get_window` (see `make_windows.py`) and their own laws.

use proptest::prelude::*;
use upbeat_window::{Symmetry, WindowFunction};

fn named(name: &str, parameter: &str) -> WindowFunction {
    let number = || parameter.parse().expect("windows with a parameter have a number there");
    match name {
        "boxcar" => WindowFunction::Rectangular,
        "hann" => WindowFunction::Hann,
        "hamming" => WindowFunction::Hamming,
        "blackman" => WindowFunction::Blackman,
        "blackmanharris" => WindowFunction::BlackmanHarris,
        "kaiser" => WindowFunction::Kaiser { beta: number() },
        "gaussian" => WindowFunction::Gaussian { std: number() },
        "tukey" => WindowFunction::Tukey { alpha: number() },
        "flattop" => WindowFunction::FlatTop,
        _ => panic!("unknown window {name}"),
    }
}

#[test]
fn all_windows_equal_scipys() {
    let mut compared = 0;
    for line in include_str!("data/windows.csv").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let symmetry =
            if fields[2] == "periodic" { Symmetry::Periodic } else { Symmetry::Symmetric };
        let (length, stride): (usize, usize) =
            (fields[3].parse().unwrap(), fields[4].parse().unwrap());
        let window = named(fields[0], fields[1]);
        let precise = window.table_f64(length, symmetry).unwrap();
        let table = window.table(length, symmetry).unwrap();
        assert_eq!((precise.len(), table.len()), (length, length));
        assert_eq!(fields.len() - 5, length.div_ceil(stride));
        for (n, expected) in fields[5..].iter().enumerate() {
            let expected: f64 = expected.parse().unwrap();
            let n = n * stride;
            let error = (precise[n] - expected).abs();
            assert!(error < 1e-9, "{window:?} {symmetry:?} {length}: [{n}] is off by {error:e}");
            assert!((f64::from(table[n]) - expected).abs() < 1e-7);
            compared += 1;
        }
    }
    assert_eq!(compared, 4250);
}

#[test]
fn parameters_outside_their_range_are_refused_by_name() {
    let refused = |window: WindowFunction, length| {
        window.table(length, Symmetry::Periodic).unwrap_err().parameter()
    };
    for beta in [-0.1, 701.0, f64::INFINITY, f64::NAN] {
        assert_eq!(refused(WindowFunction::Kaiser { beta }, 8), "beta");
    }
    for std in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert_eq!(refused(WindowFunction::Gaussian { std }, 8), "std");
    }
    for alpha in [-0.1, 1.1, f64::NAN] {
        assert_eq!(refused(WindowFunction::Tukey { alpha }, 1), "alpha");
    }
    assert_eq!(refused(WindowFunction::Hann, 0), "length");
    assert_eq!(refused(WindowFunction::Hann, usize::MAX), "length");
}

fn any_window() -> impl Strategy<Value = WindowFunction> {
    prop_oneof![
        Just(WindowFunction::Rectangular),
        Just(WindowFunction::Hann),
        Just(WindowFunction::Hamming),
        Just(WindowFunction::Blackman),
        Just(WindowFunction::BlackmanHarris),
        (0.0..=700.0).prop_map(|beta| WindowFunction::Kaiser { beta }),
        (1e-300..1e300).prop_map(|std| WindowFunction::Gaussian { std }),
        (0.0..=1.0).prop_map(|alpha| WindowFunction::Tukey { alpha }),
        Just(WindowFunction::FlatTop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn values_are_bounded_symmetric_and_the_periodic_window_is_the_longer_one_cut(
        window in any_window(),
        length in 2_usize..600,
    ) {
        let periodic = window.table_f64(length, Symmetry::Periodic).unwrap();
        let longer = window.table_f64(length + 1, Symmetry::Symmetric).unwrap();
        prop_assert_eq!(&periodic[..], &longer[..length]);
        prop_assert!(longer.iter().eq(longer.iter().rev()));
        prop_assert!(longer.iter().all(|w| (-0.1..=1.0 + 1e-8).contains(w)));
    }
}
