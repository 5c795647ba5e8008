"""A network of convolutions as an ONNX file, written by its wire format, so that tests need no package for it.

Protocol buffers: a field is (number << 3 | kind) and its value; kind 0 an integer, kind 2 a length and so many bytes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FLOAT, INTS = 1, 7  # onnx.TensorProto.FLOAT, onnx.AttributeProto.INTS


def number(value: int) -> bytes:
    out = b""
    while True:
        value, low = value >> 7, value & 127
        out += bytes([low | (128 if value else 0)])
        if not value:
            return out


def integer(field: int, value: int) -> bytes:
    return number(field << 3) + number(value)


def part(field: int, value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return number(field << 3 | 2) + number(len(raw)) + raw


def tensor_type(name: str, shape: tuple[int, ...]) -> bytes:
    dimensions = b"".join(part(1, integer(1, size)) for size in shape)
    return part(1, name) + part(2, part(1, integer(1, FLOAT) + part(2, dimensions)))


def tensor(name: str, values: np.ndarray) -> bytes:
    shape = b"".join(integer(1, size) for size in values.shape)
    return shape + integer(2, FLOAT) + part(8, name) + part(9, values.astype("<f4").tobytes())


def integers(name: str, values: tuple[int, ...]) -> bytes:
    return part(1, name) + b"".join(integer(8, value) for value in values) + integer(20, INTS)


def write_convolutions(path: Path, layers: list[tuple[np.ndarray, int]], size: tuple[int, int]) -> None:
    """Write y = W_n * ... W_1 * x; x (1, channels, height, width), size: (width, height).

    layers: [(W (outputs, inputs, k, k), k odd, and the step of its convolution)].
    """
    width, height = size
    graph = b""
    for at, (weights, step) in enumerate(layers):
        pads = integers("pads", 4 * (weights.shape[2] // 2,))
        names = part(1, f"x{at}") + part(1, f"w{at}") + part(2, f"x{at + 1}") + part(4, "Conv")
        graph += part(1, names + part(5, pads) + part(5, integers("strides", (step, step))))
        width, height = -(-width // step), -(-height // step)
    graph += part(2, "net") + b"".join(part(5, tensor(f"w{at}", weights)) for at, (weights, _) in enumerate(layers))
    graph += part(11, tensor_type("x0", (1, layers[0][0].shape[1], size[1], size[0])))
    graph += part(12, tensor_type(f"x{len(layers)}", (1, layers[-1][0].shape[0], height, width)))
    path.write_bytes(integer(1, 8) + part(8, part(1, "") + integer(2, 13)) + part(7, graph))
