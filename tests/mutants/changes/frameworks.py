"""Mutations of the array libraries: NumPy, torch, its DTensors, JAX, TensorFlow, Keras."""

from mutation import Mutation

_ARRAYS = "python/taut/arrays/"
_TORCH = _ARRAYS + "torch/"
_KERAS = "--rootdir keras_cases -o filterwarnings= keras_cases/"
_TWO_RANKS = "test_torch_sharded.py::test_in_a_world_of[2]"

MUTATIONS = [
    Mutation(
        "masks-are-not-seen",
        _ARRAYS + "numpy.py",
        'issubclass(cls, np.ndarray) and not hasattr(cls, "mask")',
        "issubclass(cls, np.ndarray)",
        python="test_exchanged.py -k masks",
    ),
    Mutation(
        "gradients-of-unknown-libraries-are-lost",
        _ARRAYS + "exchanged.py",
        'packages - {"numpy"} or any(hasattr(cls, sign) for sign in _SIGNS_OF_GRADIENTS)',
        'packages - {"numpy"}',
        python="test_exchanged.py -k gradients_of_other_libraries",
    ),
    Mutation(
        "autograd-is-not-told-of-writes",
        _TORCH + "memory.py",
        "torch.autograd.graph.increment_version(self._tensors)",
        "pass",
        python="test_torch.py -k tells_autograd",
    ),
    Mutation(
        "autograd-is-not-told-of-interrupted-writes",
        _TORCH + "memory.py",
        "        if not has_written_nothing(error, (TypeError, ValueError)):",
        "        if error is None:",
        python="test_torch_penalties.py -k interrupted",
    ),
    Mutation(
        "negated-gradients-are-written-as-they-are",
        _TORCH + "memory.py",
        "and not (x.is_neg() or x.is_nested or x._is_zerotensor())",
        "and not (x.is_nested or x._is_zerotensor())",
        python="test_torch_penalties.py -k negated",
    ),
    Mutation(
        "transforms-see-a-constant",
        _TORCH + "memory.py",
        "return is_traced() or forward_ad._current_level >= 0 or are_transforms_active()",
        "return is_traced()",
        python="test_torch_kinds.py -k transforms",
    ),
    Mutation(
        "torchs-float64-penalties-are-float32",
        _TORCH + "memory.py",
        '    return torch.tensor(value, dtype=dtype, device="cpu")',
        '    return torch.tensor(value, dtype=torch.float32, device="cpu")',
        python="test_torch.py -k test_derivatives",
    ),
    Mutation(
        "half-types-slopes-are-rounded-before-they-are-scaled",
        _TORCH + "memory.py",
        "    return torch.empty_like(x, dtype=dtype)",
        "    return torch.empty_like(x)",
        python="test_torch.py -k scaled_before",
    ),
    Mutation(
        "a-node-forgets-the-incoming-gradient",
        _TORCH + "nodes.py",
        "kernel.value_and_grad(view_of(x), view_of(grad), factors, number)",
        "kernel.value_and_grad(view_of(x), view_of(grad), factors, 1.0)",
        python="test_torch.py -k 'random_tensors and kernel'",
    ),
    Mutation(
        "the-node-of-many-forgets-the-incoming-gradient",
        _TORCH + "group.py",
        "1.0 if number is None else number,",
        "1.0,",
        python="test_torch_penalties.py -k graph_way",
    ),
    Mutation(
        "a-total-is-float64-if-all-are",
        _TORCH + "group.py",
        "has_doubles = any(x.dtype == torch.float64 for x in like)",
        "has_doubles = all(x.dtype == torch.float64 for x in like)",
        python="test_torch_penalties.py -k float64_if_one",
    ),
    Mutation(
        "a-factor-of-0-leaves-torchs-memory-as-it-was",
        "cpp/src/plans/fill.cpp",
        "problem.task == Task::kOverwrite ? problem.layout.size : 0",
        "problem.task == Task::kProx ? problem.layout.size : 0",
        python="test_torch_penalties.py -k factor_of_0",
    ),
    Mutation(
        "torchs-sign-of-nan-is-0",
        _TORCH + "operations.py",
        "return torch.where(torch.isnan(x), x, torch.sign(x)).detach()",
        "return torch.sign(x).detach()",
        python="test_torch.py -k special_values",
    ),
    Mutation(
        "a-world-sums-in-float32",
        _TORCH + "sharded/sums.py",
        "dtype=torch.float64, device=device",
        "dtype=torch.float32, device=device",
        python=_TWO_RANKS,
    ),
    Mutation(
        "a-world-counts-one-tensor-of-many",
        _TORCH + "sharded/sums.py",
        "shared.get(layout.groups, 0.0) + part",
        "part",
        python=_TWO_RANKS,
    ),
    Mutation(
        "replicas-count-more-than-once",
        _TORCH + "sharded/layout.py",
        "if not isinstance(placement, Replicate)",
        "if placement is not None",
        python=_TWO_RANKS,
    ),
    Mutation(
        "jaxs-slope-at-0-is-1",
        _ARRAYS + "jax/operations.py",
        "return x * lax.stop_gradient(sign(x))",
        "return jnp.abs(x)",
        python="test_towards_libraries.py",
    ),
    Mutation(
        "jax-sums-in-its-inputs-dtype",
        _ARRAYS + "jax/operations.py",
        "return jnp.result_type(float)",
        "return x.dtype",
        python="test_jax.py -k overflow",
    ),
    Mutation(
        "jaxs-slopes-are-rounded-before-they-are-scaled",
        _ARRAYS + "jax/calls.py",
        "(slope * x_tangent.astype(slope.dtype)).sum()",
        "(slope.astype(x_tangent.dtype) * x_tangent).sum()",
        python="test_jax.py -k scaled_before",
    ),
    Mutation(
        "the-last-elements-of-xlas-slices-are-left-out",
        _ARRAYS + "tensorflow/operations.py",
        "return tf.reduce_sum(total) + tf.reduce_sum(flat[_SLICES * length :])",
        "return tf.reduce_sum(total)",
        python="test_tensorflow.py -k slices",
    ),
    Mutation(
        "a-tape-forgets-the-incoming-gradient",
        _ARRAYS + "tensorflow/calls.py",
        "kernel.value_and_grad(numbers, grad, factors, float(scale))",
        "kernel.value_and_grad(numbers, grad, factors, 1.0)",
        python="test_tensorflow.py -k 'random_tensors and eager'",
    ),
    Mutation(
        "unpatched-keras-keeps-tauts-strings",
        "python/taut/keras.py",
        '_exchange(classes | {own: theirs["get"]})',
        "_exchange(classes)",
        python=_KERAS + "patching.py",
    ),
    Mutation(
        "a-model-that-changes-sides-keeps-its-old-steps",
        "python/taut/keras.py",
        "            if getattr(layer, name, None) is not None:\n",
        "            if getattr(layer, name, 0) == 0:\n",
        python=_KERAS + "patching.py",
    ),
    Mutation(
        "regularizers-that-were-shared-are-apart",
        "python/taut/keras.py",
        "if id(regularizer) not in converted:",
        "if id(regularizer) != 0:",
        python=_KERAS + "patching.py",
    ),
]
