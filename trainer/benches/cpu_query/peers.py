"""One competitor of the CPU query benchmark in a process of its own, on the same network.

    python peers.py onnxruntime | torch_compile

Reads requests and writes answers, one JSON object a line. `load` gives the network: the refined
grid as raw float32 [C, D, H, W], the weights of all layers as raw float32, the latent vector of one
parameter set. `run` evaluates a file of points [n, 3] and answers with the seconds that it took.
The network is the reference's, unfolded: grid_sample, the latent vector appended, linear layers
with ReLU, a sigmoid at the end.
"""

import json
import sys
import time

import numpy as np


class Network:
    """What both competitors are built from."""

    def __init__(self, spec):
        self.channels = spec["channels"]
        self.shape = spec["shape"]
        self.count = spec["points"]
        self.latent = np.array(spec["latent"], np.float32)
        grid = np.fromfile(spec["grid"], np.float32)
        self.grid = grid.reshape(1, self.channels, *self.shape)
        numbers = np.fromfile(spec["weights"], np.float32)
        self.layers = []
        for inputs, outputs in spec["layers"]:
            weight, bias, numbers = np.split(numbers, [inputs * outputs, (inputs + 1) * outputs])
            self.layers.append((weight.reshape(outputs, inputs), bias))
        if numbers.size:
            raise ValueError(f"{numbers.size} weights are left over")


class OnnxRuntime:
    """The graph in the layout that costs ONNX Runtime least: features stay [C, n] as GridSample
    gives them, the first Gemm reads them transposed."""

    def __init__(self, network, threads):
        import onnxruntime

        self.network = network
        model = self.graph(network).SerializeToString()
        self.sessions = {}
        for count in threads:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = count
            options.inter_op_num_threads = 1
            # Threads that spin between runs would disturb what is measured next.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            self.sessions[count] = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )

    @staticmethod
    def graph(network):
        from onnx import TensorProto, helper, numpy_helper

        count, channels, latent = network.count, network.channels, network.latent.size
        constants, nodes = [], []

        def constant(name, values):
            constants.append(numpy_helper.from_array(values, name))
            return name

        def node(kind, inputs, output, **attributes):
            nodes.append(helper.make_node(kind, inputs, [output], **attributes))
            return output

        sampled = node(
            "GridSample",
            ["grid", "points"],
            "sampled",
            align_corners=1,
            mode="linear",
            padding_mode="zeros",
        )
        rows = constant("rows", np.array([channels, count], np.int64))
        spatial = node("Reshape", [sampled, rows], "spatial")
        columns = constant("columns", np.array([latent, count], np.int64))
        column = constant("latent", network.latent.reshape(latent, 1))
        conditional = node("Expand", [column, columns], "conditional")
        x = node("Concat", [spatial, conditional], "features", axis=0)
        for n, (weight, bias) in enumerate(network.layers):
            weight = constant(f"weight.{n}", weight)
            bias = constant(f"bias.{n}", bias)
            x = node("Gemm", [x, weight, bias], f"product.{n}", transA=int(n == 0), transB=1)
            last = n + 1 == len(network.layers)
            x = node("Sigmoid" if last else "Relu", [x], "values" if last else f"hidden.{n}")
        f32 = TensorProto.FLOAT
        graph = helper.make_graph(
            nodes,
            "network",
            [
                helper.make_tensor_value_info("grid", f32, list(network.grid.shape)),
                helper.make_tensor_value_info("points", f32, [1, 1, 1, count, 3]),
            ],
            [helper.make_tensor_value_info("values", f32, [count, 1])],
            constants,
        )
        # GridSample has five dimensions since operator set 20.
        opset = helper.make_opsetid("", 20)
        return helper.make_model(graph, opset_imports=[opset], ir_version=10)

    def run(self, points, threads):
        inputs = {"grid": self.network.grid, "points": points.reshape(1, 1, 1, -1, 3)}
        start = time.perf_counter()
        (values,) = self.sessions[threads].run(None, inputs)
        return time.perf_counter() - start, values


class TorchCompile:
    """The eager code of the benchmark through `torch.compile`."""

    def __init__(self, network, threads):
        import torch

        self.torch = torch
        linear = torch.nn.functional.linear
        # The reference's memory layout: channels last.
        grid = torch.from_numpy(network.grid).contiguous(memory_format=torch.channels_last_3d)
        network.grid = None
        latent = torch.from_numpy(network.latent).view(1, -1)
        layers = [(torch.from_numpy(w), torch.from_numpy(b)) for w, b in network.layers]

        def forward(points):
            sampled = torch.nn.functional.grid_sample(
                grid, points.view(1, 1, 1, -1, 3), align_corners=True
            )
            spatial = sampled.view(network.channels, -1).t()
            x = torch.cat([spatial, latent.expand(points.shape[0], -1)], 1)
            for weight, bias in layers[:-1]:
                x = torch.relu(linear(x, weight, bias))
            return torch.sigmoid(linear(x, *layers[-1]))

        self.forward = torch.compile(forward, dynamic=False)

    def run(self, points, threads):
        torch = self.torch
        torch.set_num_threads(threads)
        points = torch.from_numpy(points)
        with torch.no_grad():
            start = time.perf_counter()
            values = self.forward(points)
            return time.perf_counter() - start, values.numpy()


def main():
    engine = {"onnxruntime": OnnxRuntime, "torch_compile": TorchCompile}[sys.argv[1]]
    peer = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["verb"] == "load":
                peer = None  # Frees the previous network first.
                peer = engine(Network(request), request["threads"])
                answer = {}
            else:
                points = np.fromfile(request["points"], np.float32).reshape(-1, 3)
                seconds, values = peer.run(points, request["threads"])
                if request.get("values"):
                    np.ascontiguousarray(values, np.float32).tofile(request["values"])
                answer = {"seconds": seconds}
        except Exception as error:  # Whatever it is, the benchmark says it and goes on.
            lines = f"{type(error).__name__}: {error}".splitlines()
            answer = {"error": lines[0][:300]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
