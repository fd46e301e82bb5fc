//! Networks read from files: all kinds of layers, streaming, and files that are not what they should be.

use safetensors::tensor::{Dtype, TensorView, serialize};
use upbeat_nn::{Model, ModelError, Network, Weights};
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::signal;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const LAYERS: &str = r#"[
    {"kind": "causal_conv", "name": "conv", "dilation": 2, "activation": "relu"},
    {"kind": "depthwise_conv", "name": "depth", "activation": "leaky_relu"},
    {"kind": "dense", "name": "point", "activation": "tanh"},
    {"kind": "gru", "name": "gru"},
    {"kind": "dense", "name": "out", "activation": "softmax"}
]"#;

type Tensors = Vec<(&'static str, Vec<usize>)>;

fn tensors() -> Tensors {
    vec![
        ("conv.weight", vec![6, 4, 3]),
        ("conv.bias", vec![6]),
        ("depth.weight", vec![6, 1, 2]),
        ("depth.bias", vec![6]),
        ("point.weight", vec![5, 6]),
        ("point.bias", vec![5]),
        ("gru.weight_ih", vec![9, 5]),
        ("gru.weight_hh", vec![9, 3]),
        ("gru.bias_ih", vec![9]),
        ("gru.bias_hh", vec![9]),
        ("out.weight", vec![2, 3]),
        ("out.bias", vec![2]),
    ]
}

/// A file with tensors of noise, under the given description.
fn file(layers: &str, tensors: &[(&str, Vec<usize>)]) -> Vec<u8> {
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .enumerate()
        .map(|(seed, (_, shape))| {
            let values = signal::noise(0.5, seed as u64, shape.iter().product());
            values.iter().flat_map(|x| x.to_le_bytes()).collect()
        })
        .collect();
    let views = tensors.iter().zip(&data).map(|((name, shape), data)| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), data).expect("the shape fits the data"))
    });
    let remarks = [("net.layers".into(), layers.into())].into_iter().collect();
    serialize(views, Some(remarks)).expect("a file can be made")
}

fn read(bytes: &[u8]) -> Result<Network, ModelError> {
    Network::read(&Weights::read(bytes)?, "net")
}

#[test]
fn a_network_remembers_and_forgets_and_never_allocates() {
    let mut network = read(&file(LAYERS, &tensors())).unwrap();
    assert_eq!((network.input_length(), network.output_length()), (4, 2));
    let frames = signal::noise(1.0, 77, 4 * 30);
    let mut rounds = [const { [0.0; 2 * 30] }; 3];
    let counts = count(|| {
        for (round, outputs) in rounds.iter_mut().enumerate() {
            for (frame, output) in frames.chunks(4).zip(outputs.chunks_mut(2)) {
                network.run(frame, output).unwrap();
            }
            if round == 0 {
                network.reset();
            }
        }
    });
    assert!(counts.is_zero(), "{counts:?}");
    let [first, after_reset, without_reset] = rounds;
    assert_eq!(first, after_reset);
    assert_ne!(first, without_reset);
    assert!(first.chunks(2).all(|y| (y[0] + y[1] - 1.0).abs() < 1e-6));
}

#[test]
fn files_that_are_not_what_they_should_be_are_errors_that_say_why() {
    let with = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = tensors();
        change(&mut tensors);
        read(&file(LAYERS, &tensors)).unwrap_err().to_string()
    };
    assert_eq!(with(&|t| drop(t.remove(3))), "the model has no tensor named \"depth.bias\"");
    assert_eq!(
        with(&|t| t[5].1 = vec![4]),
        "tensor \"point.bias\" must be of shape [5], but is [4]"
    );
    assert_eq!(
        with(&|t| t[4].1 = vec![5, 6, 1]),
        "tensor \"point.weight\" must be of 2 dimensions, but is [5, 6, 1]"
    );
    assert_eq!(with(&|t| t[10].1 = vec![2, 4]), "inputs of a layer must be 3, got 4");

    let described = |layers: &str| read(&file(layers, &tensors())).unwrap_err().to_string();
    assert_eq!(described("[]"), "number of layers must be at least 1, got 0");
    assert!(described("{").starts_with("not a readable model file: "));
    assert!(described(r#"[{"kind": "transformer", "name": "x"}]"#).contains("unknown variant"));
    let absurd = described(r#"[{"kind": "causal_conv", "name": "conv", "dilation": 99999999999}]"#);
    assert_eq!(absurd, "dilation must be 1 to 1024, got 99999999999");
}

#[test]
fn numbers_that_are_not_finite_or_not_f32_are_refused() {
    let values = [1.0_f32, f32::NAN];
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    for (dtype, shape, expected) in [
        (Dtype::F32, vec![1, 2], "tensor \"d.weight\" must be finite, but is NaN"),
        (Dtype::F64, vec![1, 1], "tensor \"d.weight\" must be f32, but is F64"),
    ] {
        let view = TensorView::new(dtype, shape, &bytes).unwrap();
        let layers = r#"[{"kind": "dense", "name": "d"}]"#;
        let remarks = [("net.layers".into(), layers.into())].into_iter().collect();
        let file = serialize([("d.weight", view)], Some(remarks)).unwrap();
        assert_eq!(read(&file).unwrap_err().to_string(), expected);
    }
}

#[test]
fn damaged_files_are_errors_never_panics() {
    let whole = file(LAYERS, &tensors());
    assert!(read(&whole).is_ok());
    for length in [0, 1, 7, 8, 9, 100, whole.len() - 1] {
        assert!(matches!(read(&whole[..length]), Err(ModelError::Corrupt { .. })), "{length}");
    }
    assert!(read(b"RIFF\x24\x00\x00\x00WAVEfmt ").is_err());
    let mut random = signal::Random::new(1);
    for _ in 0..500 {
        let mut damaged = whole.clone();
        for _ in 0..4 {
            damaged[random.below(1200)] = random.next_u64() as u8;
        }
        if let Ok(mut network) = read(&damaged) {
            let mut output = vec![0.0; network.output_length()];
            network.run(&vec![0.5; network.input_length()], &mut output).unwrap();
        }
    }
}
