"""What the steps share: a request's tensors as arrays."""

try:
    import triton_python_backend_utils as pb_utils
except ModuleNotFoundError:
    # Outside of a server there are no requests.
    pb_utils = None


def array(request, name):
    """An input, without a copy."""
    return pb_utils.get_input_tensor_by_name(request, name).as_numpy()


def number(request, name):
    """The one number of a control or a length."""
    return array(request, name).ravel()[0]
