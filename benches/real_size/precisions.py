"""The same model in smaller numbers."""


def half(source, target):
    """fp16 weights and sums; inputs and outputs keep their types, so that whoever calls it notices nothing."""
    import onnx
    from onnxruntime.transformers import float16

    model = float16.convert_float_to_float16(onnx.load(source), keep_io_types=True)
    onnx.save(model, target)


def int8(source, target):
    """Weights of matrix products as 8-bit numbers, with the settings of FunASR's own export (`quantize=True`)."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    names = [node.name for node in onnx.load(source, load_external_data=False).graph.node]
    quantize_dynamic(
        model_input=source,
        model_output=target,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        reduce_range=False,
        weight_type=QuantType.QUInt8,
        nodes_to_exclude=[name for name in names if any(part in name for part in ("output", "bias_encoder", "bias_decoder"))],
    )
