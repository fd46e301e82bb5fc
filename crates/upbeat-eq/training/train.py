"""Makes the tone model: `python train.py ../models`. Two minutes on two cores; see README.md."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import optax
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from safetensors.numpy import save_file

import material as m

LATENT = 32
HIDDEN = 64
STEPS = 12_000
BATCH = 512
EXAMPLES = 160_000


def latent_space(rng):
    """Encoder `[32, 128]` and decoder `[128, 32]`: the principal curves of random settings, each of deviation 1.

    Linear and without constants, so that the latent of a difference is the difference of latents, and that of a flat
    curve is 0.
    """
    curves = m.responses(m.FREQUENCIES, m.settings(rng, 20_000))
    _, values, axes = np.linalg.svd(curves, full_matrices=False)
    axes = axes[:LATENT] * np.where(axes[:LATENT, m.POINTS // 2] < 0, -1.0, 1.0)[:, None]
    deviation = values[:LATENT, None] / np.sqrt(len(curves))
    return axes / deviation, (axes * deviation).T


def hear(parameters, x):
    """Dense 64-64-64-32 with tanh between."""
    for weight, bias in parameters[:-1]:
        x = jnp.tanh(x @ weight.T + bias)
    weight, bias = parameters[-1]
    return x @ weight.T + bias


def train(rng, decoder):
    equalizers = m.characters(rng, EXAMPLES)
    inputs = m.heard(rng, m.random_programmes(rng, EXAMPLES), equalizers).astype(np.float32)
    wanted = m.timbre(m.responses(m.FREQUENCIES, equalizers)).astype(np.float32)
    sizes = [m.BANDS, HIDDEN, HIDDEN, LATENT]
    gains = [1 / 8, 1.0, 1.0]  # inputs are some 8 dB large
    parameters = [
        ((rng.normal(0, g / np.sqrt(i), (o, i))).astype(np.float32), np.zeros(o, np.float32))
        for i, o, g in zip(sizes, sizes[1:], gains)
    ]
    decoder = jnp.asarray(decoder.T, jnp.float32)
    optimizer = optax.adam(optax.cosine_decay_schedule(2e-3, STEPS))
    state = optimizer.init(parameters)

    @jax.jit
    def step(parameters, state, x, y):
        loss = lambda p: jnp.mean((hear(p, x) @ decoder - y) ** 2)
        value, gradient = jax.value_and_grad(loss)(parameters)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(parameters, updates), state, value

    for number in range(STEPS):
        batch = rng.integers(0, EXAMPLES, BATCH)
        parameters, state, value = step(parameters, state, inputs[batch], wanted[batch])
        if number % 2000 == 0:
            print(f"step {number}: {float(value):.3f} dB²", flush=True)
    return [(np.asarray(w), np.asarray(b)) for w, b in parameters]


def write_onnx(path, parameters):
    nodes, tensors, name = [], [], "tone"
    for k, (weight, bias) in enumerate(parameters, 1):
        tensors += [
            numpy_helper.from_array(weight, f"hear.{k}.weight"),
            numpy_helper.from_array(bias, f"hear.{k}.bias"),
        ]
        out = "latent" if k == len(parameters) else f"sum.{k}"
        nodes.append(helper.make_node("Gemm", [name, f"hear.{k}.weight", f"hear.{k}.bias"], [out], transB=1))
        name = out
        if k < len(parameters):
            name = f"tanh.{k}"
            nodes.append(helper.make_node("Tanh", [out], [name]))
    value = lambda name, n: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n])
    graph = helper.make_graph(nodes, "hear", [value("tone", m.BANDS)], [value("latent", LATENT)], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


class Calibration(CalibrationDataReader):
    def __init__(self, inputs):
        self.rows = iter(inputs)

    def get_next(self):
        row = next(self.rows, None)
        return None if row is None else {"tone": row[None]}


def run_onnx(path, inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"tone": row[None]})[0] for row in inputs])


def metrics(rng, encoder, decoder, parameters, folder):
    """On material drawn anew."""
    rms = lambda curves: np.sqrt((curves**2).mean(axis=1))
    curves = m.responses(m.FREQUENCIES, m.settings(rng, 5000))
    errors = rms(curves @ encoder.T @ decoder.T - curves)
    programmes = m.random_programmes(rng, 5000)
    flat = m.random_equalizers(rng, 5000, 0.0, 0.0, 1.0, (1.0, 1.0))
    clean = m.heard(rng, programmes, flat).astype(np.float32)
    leak = rms(m.timbre(np.asarray(hear(parameters, clean)) @ decoder.T))
    equalizers = m.characters(rng, 5000)
    tone = m.timbre(m.responses(m.FREQUENCIES, equalizers))
    inputs = m.heard(rng, programmes, equalizers).astype(np.float32)
    found = m.timbre(np.asarray(hear(parameters, inputs)) @ decoder.T)
    exact = np.asarray(hear(parameters, inputs[:200]))
    single, small = (run_onnx(folder / f"hear{kind}.onnx", inputs[:200]) for kind in ["", ".int8"])
    return {
        "reconstruction_rms_db": {"mean": errors.mean(), "p95": np.quantile(errors, 0.95), "max": errors.max()},
        "tone_rms_db": rms(tone).mean(),
        "tone_error_rms_db": rms(found - tone).mean(),
        "slope": (found * tone).sum() / (tone**2).sum(),
        "leak_rms_db": float(np.sqrt((leak**2).mean())),
        "onnx_largest_difference": float(np.abs(single - exact).max()),
        "int8_difference_rms_db": float(rms((small - exact) @ decoder.T).mean()),
    }


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(5)
    encoder, decoder = (x.astype(np.float32) for x in latent_space(rng))
    parameters = train(rng, decoder)
    tensors = {
        "programme": m.mean_programme().astype(np.float32),
        "encode.weight": encoder,
        "encode.bias": np.zeros(LATENT, np.float32),
        "decode.weight": decoder,
        "decode.bias": np.zeros(m.POINTS, np.float32),
    }
    layers = []
    for k, (weight, bias) in enumerate(parameters, 1):
        tensors |= {f"hear.{k}.weight": weight, f"hear.{k}.bias": bias}
        layers.append({"kind": "dense", "name": f"hear.{k}", "activation": "tanh"})
    del layers[-1]["activation"]
    save_file(
        {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()},
        folder / "tone.safetensors",
        metadata={
            "kind": "upbeat tone model",
            "version": "1",
            "hear.layers": json.dumps(layers),
            "encode.layers": json.dumps([{"kind": "dense", "name": "encode"}]),
            "decode.layers": json.dumps([{"kind": "dense", "name": "decode"}]),
        },
    )
    write_onnx(folder / "hear.onnx", parameters)
    equalizers = m.characters(rng, 500)
    calibration = m.heard(rng, m.random_programmes(rng, 500), equalizers).astype(np.float32)
    quantize_static(
        folder / "hear.onnx",
        folder / "hear.int8.onnx",
        Calibration(calibration),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    # What the Rust code is held to.
    inputs = calibration[:4]
    golden = {"input": inputs.tolist(), "latent": np.asarray(hear(parameters, inputs)).tolist()}
    (folder / "hear.golden.json").write_text(json.dumps(golden))
    report = metrics(np.random.default_rng(6), encoder, decoder, parameters, folder)
    rounded = json.loads(json.dumps(report, default=float), parse_float=lambda x: round(float(x), 6))
    (folder / "metrics.json").write_text(json.dumps(rounded, indent=2) + "\n")
    print(json.dumps(rounded, indent=2))


if __name__ == "__main__":
    main()
