"""What each method of feature_node costs at 640 x 480, against the bare calls of OpenCV or onnxruntime it is made of.

    python benchmark/feature_methods.py [--images 200] [--json FILE]

One image after the other goes, as the fields of a message, through the method (reading, detection, coordinates, checks)
and through the bare calls on the same bytes, in turns and in one thread; the order changes with each image. Times are
medians of the thread's processor time. The verdict is FAIL where a method takes more than MOST times as long as its
bare calls.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "test"))

from mbrl_ros.vision import aruco, color_blob, finder, klt, onnx_keypoints, template
from mbrl_ros.vision.opencv import opencv
from mbrl_ros.vision.picture import read_image
from support.onnx_file import write_convolutions
from support.pictures import discs, drawn_marker, moved, texture, turned

MOST = 1.5
WARM_UP = 20  # images
WIDTH, HEIGHT = 640, 480
Bare = Callable[[np.ndarray], object]  # takes the image (h, w, 3)
REGION = (300, 200, 40, 40)
cv2 = opencv()


def scene() -> np.ndarray:
    """Draw a texture with a marker, a red and a green disc: every method finds something."""
    image = np.repeat((texture() // 2 + 60)[:, :, None], 3, axis=2)
    colored = discs([(120.0, 380.0), (520.0, 90.0)], [(230, 30, 30), (30, 200, 40)])
    image = np.where((colored == 90).all(axis=2, keepdims=True), image, colored)
    marker = cv2.resize(drawn_marker(0), (90, 90), interpolation=cv2.INTER_AREA)
    image[60:150, 80:170] = marker[:, :, None]
    return image.astype(np.uint8)


def gray(image: np.ndarray) -> np.ndarray:
    """Convert, which is the first of the bare calls."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def bare_aruco() -> Bare:
    """Return detection with the same parameters."""
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50), parameters)
    return lambda image: detector.detectMarkers(gray(image))


def bare_color_blob() -> Bare:
    """Return detection of two hues, of which red lies around 0 degrees."""
    ranges = {"red": (((0, 102, 51), (10, 255, 255)), ((170, 102, 51), (180, 255, 255)))}
    ranges["green"] = (((50, 102, 51), (70, 255, 255)),)

    def detect(image: np.ndarray) -> None:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        for parts in ranges.values():
            masks = [cv2.inRange(hsv, *part) for part in parts]
            cv2.connectedComponentsWithStats(masks[0] if len(masks) == 1 else cv2.bitwise_or(*masks), connectivity=4)

    return detect


def bare_klt() -> Bare:
    """Return tracking forward and backward."""
    state: dict[str, np.ndarray] = {}

    def detect(image: np.ndarray) -> None:
        now = gray(image)
        if not state:
            state["points"] = cv2.goodFeaturesToTrack(now, 4, 0.05, 20.0)
        else:
            points = state["points"]
            state["points"], _, _ = cv2.calcOpticalFlowPyrLK(state["last"], now, points, None)
            cv2.calcOpticalFlowPyrLK(now, state["last"], state["points"], None)
        state["last"] = now

    return detect


def bare_template() -> Bare:
    """Return the correlation with the region of the first image around where it was found before."""
    state: dict[str, object] = {}
    left, top, width, height = REGION

    def detect(image: np.ndarray) -> None:
        now = gray(image)
        if not state:
            state["template"], state["at"] = now[top : top + height, left : left + width].copy(), (left, top)
        x, y = state["at"]
        part = now[y - 40 : y + height + 40, x - 40 : x + width + 40]
        _, _, _, (dx, dy) = cv2.minMaxLoc(cv2.matchTemplate(part, state["template"], cv2.TM_CCOEFF_NORMED))
        state["at"] = (x - 40 + dx, y - 40 + dy)

    return detect


def bare_onnx_keypoints(file: Path) -> Bare:
    """Return resizing, conversion to float32 and the network."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def detect(image: np.ndarray) -> None:
        small = cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA)
        session.run(None, {"x0": small.transpose(2, 0, 1)[None].astype(np.float32) / 255.0})

    return detect


def cases(folder: Path) -> dict[str, tuple[object, Bare]]:
    """Return {method: (it, its bare calls)}; the network has three convolutions, 0.2 G multiplications."""
    network = folder / "net.onnx"
    rng = np.random.default_rng(0)
    layers = [rng.standard_normal(shape) / 20.0 for shape in ((32, 3, 7, 7), (32, 32, 3, 3), (8, 32, 3, 3))]
    write_convolutions(network, list(zip(layers, (2, 2, 1), strict=True)), (320, 240))
    return {
        "aruco": (aruco.build(aruco.Settings()), bare_aruco()),
        "color_blob": (color_blob.build(color_blob.Settings(hues=(0.0, 120.0))), bare_color_blob()),
        "klt": (klt.build(klt.Settings()), bare_klt()),
        "template": (template.build(template.Settings(regions=REGION)), bare_template()),
        "onnx_keypoints": (
            onnx_keypoints.build(onnx_keypoints.Settings(file=str(network))),
            bare_onnx_keypoints(network),
        ),
    }


def measure(images: list[np.ndarray], method: object, bare: Bare) -> dict[str, float]:
    """Return {ms, bare_ms, ratio}: medians over the images after the first WARM_UP, and their ratio."""
    times: dict[str, list[float]] = {"ms": [], "bare_ms": []}
    for k, image in enumerate(images):
        data = image.tobytes()
        message = SimpleNamespace(
            height=HEIGHT, width=WIDTH, encoding="rgb8", is_bigendian=0, step=3 * WIDTH, data=data
        )
        work = {
            "ms": lambda message=message: finder.find(method, read_image(message)),
            "bare_ms": lambda data=data: bare(np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH, 3)),
        }
        for name in ("ms", "bare_ms") if k % 2 else ("bare_ms", "ms"):
            begin = time.thread_time()
            work[name]()
            times[name].append(1e3 * (time.thread_time() - begin))
    result = {name: float(np.median(found[WARM_UP:])) for name, found in times.items()}
    return {**result, "ratio": result["ms"] / result["bare_ms"]}


def main() -> int:
    """Measure, print the table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    image = scene()
    angles = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
    around = [moved(image, turned(2.0 * np.sin(a), (8.0 * np.sin(a), 6.0 * np.sin(2.0 * a)))) for a in angles]
    images = [around[k % len(around)] for k in range(arguments.images + WARM_UP)]
    with tempfile.TemporaryDirectory() as folder:
        results = {name: measure(images, *case) for name, case in cases(Path(folder)).items()}
    print(f"{'method':<16} {'ms':>7} {'bare ms':>8} {'ratio':>6}")
    for name, row in results.items():
        print(f"{name:<16} {row['ms']:7.2f} {row['bare_ms']:8.2f} {row['ratio']:6.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2), encoding="utf-8")
    slow = [name for name, row in results.items() if row["ratio"] > MOST]
    print(f"FAIL: more than {MOST} times the bare calls: {', '.join(slow)}" if slow else f"PASS: at most {MOST} times")
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
