"""Layers, training, policies and symbolic tensors of Keras."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from taut.regularizers import L1, L1L2, L2, GroupLasso, OrthogonalRegularizer
from training import make_model
from versions import batch_divisor, trains

REGULARIZERS = [L1(0.1), L2(0.1), L1L2(0.1, 0.2)]


def to_float(value):
    return float(ops.convert_to_numpy(value))


def total(layer):
    return sum(to_float(loss) for loss in layer.losses)


def expected(regularizer, array):
    return regularizer(np.asarray(ops.convert_to_numpy(array)))


@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=repr)
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda **kw: layers.Dense(4, **kw), (2, 3)),
        (lambda **kw: layers.Conv1D(4, 2, **kw), (2, 5, 3)),
        (lambda **kw: layers.Conv2D(4, 2, **kw), (2, 5, 5, 3)),
        (lambda **kw: layers.Conv3D(4, 2, **kw), (2, 4, 4, 4, 3)),
    ],
)
def test_the_three_keyword_arguments(make, shape, regularizer):
    layer = make(
        kernel_regularizer=regularizer,
        bias_regularizer=regularizer,
        activity_regularizer=regularizer,
        bias_initializer="ones",
    )
    out = layer(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    parts = [
        expected(regularizer, layer.kernel),
        expected(regularizer, layer.bias),
        expected(regularizer, out) / batch_divisor(shape[0]),
    ]
    assert total(layer) == pytest.approx(sum(parts), rel=1e-5)


def test_an_embedding_and_the_orthogonal_penalty():
    regularizer = OrthogonalRegularizer(0.5)
    layer = layers.Embedding(7, 5, embeddings_regularizer=regularizer)
    layer(np.array([[1, 2]]))
    assert total(layer) == pytest.approx(expected(regularizer, layer.embeddings), rel=1e-5)
    columns = OrthogonalRegularizer(0.5, "columns")
    dense = layers.Dense(4, kernel_regularizer=columns)
    dense(np.ones((2, 9), np.float32))
    assert total(dense) == pytest.approx(expected(columns, dense.kernel), rel=1e-5)


def test_convolutions_and_the_orthogonal_penalty():
    for mode in ("rows", "columns"):
        regularizer = OrthogonalRegularizer(0.5, mode, flatten=True)
        layer = layers.Conv2D(4, (2, 3), kernel_regularizer=regularizer)
        layer(np.ones((1, 5, 5, 3), np.float32))
        kernel = np.asarray(ops.convert_to_numpy(layer.kernel))
        assert kernel.shape == (2, 3, 3, 4)
        matrix = kernel.reshape((2, 18 * 2) if mode == "rows" else (18, 4))
        value = OrthogonalRegularizer(0.5, mode)(matrix)
        assert total(layer) == pytest.approx(value, rel=1e-5)
        restored = layers.Conv2D.from_config(layer.get_config())
        assert restored.kernel_regularizer.flatten is True
        inputs = keras.Input((2, 3, 4), batch_size=5)
        model = keras.Model(inputs, regularizer(inputs))
        again = keras.models.model_from_json(model.to_json())
        x = np.random.default_rng(0).standard_normal((5, 2, 3, 4)).astype(np.float32)
        assert to_float(again(x)) == pytest.approx(regularizer(x), rel=1e-5)
    plain = layers.Conv2D(4, 2, kernel_regularizer=OrthogonalRegularizer(0.5))
    plain(np.ones((1, 5, 5, 3), np.float32))
    with pytest.raises(ValueError, match=r"must have rank 2. Received: inputs.shape=\(2, 2, 3, 4"):
        _ = plain.losses


def test_a_custom_layer_whose_activity_is_penalized_later():
    class Double(layers.Layer):
        def __init__(self):
            super().__init__()
            self.weight = self.add_weight(
                shape=(3,), initializer="ones", regularizer=L1(1.0), name="weight"
            )

        def call(self, x):
            return 2 * x * self.weight

    layer = Double()
    layer.activity_regularizer = L2(0.5)
    layer(np.ones((4, 3), np.float32))
    assert total(layer) == pytest.approx(3 + 0.5 * 4 * 12 / batch_divisor(4))


def test_variables_and_native_tensors_as_inputs():
    array = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    for regularizer in (*REGULARIZERS, OrthogonalRegularizer(0.5), GroupLasso(0.5)):
        for x in (keras.Variable(array), ops.convert_to_tensor(array)):
            assert to_float(regularizer(x)) == pytest.approx(regularizer(array), rel=1e-5)
            value, grad = regularizer.value_and_grad(x, scale=2.0)
            own_value, own_grad = regularizer.value_and_grad(array, scale=2.0)
            assert to_float(value) == pytest.approx(own_value, rel=1e-5)
            np.testing.assert_allclose(ops.convert_to_numpy(grad), own_grad, rtol=1e-4, atol=1e-7)
    with pytest.raises(TypeError, match="int32"):
        L2()(keras.Variable(np.ones(3), dtype="int32", trainable=False))
    with pytest.raises(ValueError, match="must have rank 2"):
        OrthogonalRegularizer()(keras.Variable(np.ones(3)))


def test_symbolic_tensors():
    inputs = keras.Input((5, 4), batch_size=1)
    value = L2(0.5)(inputs)
    assert isinstance(value, keras.KerasTensor)
    assert value.shape == ()
    flat = ops.reshape(inputs, (5, 4))
    model = keras.Model(inputs, [OrthogonalRegularizer(0.5)(flat), value])
    x = np.random.default_rng(0).standard_normal((1, 5, 4)).astype(np.float32)
    again = keras.models.model_from_json(model.to_json())
    for each in (model, again):
        orthogonal, square = each(x)
        assert to_float(orthogonal) == pytest.approx(OrthogonalRegularizer(0.5)(x[0]), rel=1e-5)
        assert to_float(square) == pytest.approx(L2(0.5)(x), rel=1e-5)
    with pytest.raises(TypeError, match=r"int32: cast it first, with keras\.ops\.cast"):
        L2(0.5)(keras.Input((3,), dtype="int32"))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_policies(policy):
    dense = layers.Dense(4, kernel_regularizer=L2(0.5), activity_regularizer=L1(0.5), dtype=policy)
    dense(np.ones((3, 5), np.float32))
    assert all(np.isfinite(to_float(ops.cast(loss, "float32"))) for loss in dense.losses)
    kernel = ops.convert_to_numpy(ops.cast(dense.kernel, "float32"))
    values = [to_float(ops.cast(loss, "float32")) for loss in dense.losses]
    assert min(abs(value - L2(0.5)(kernel)) for value in values) < 1e-2 * L2(0.5)(kernel)


@trains
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_training_with_policies(policy):
    dense = layers.Dense(4, kernel_regularizer=L2(0.5), activity_regularizer=L1(0.5), dtype=policy)
    model = keras.Sequential([keras.Input((5,)), dense])
    model.compile("sgd", "mse")
    history = model.fit(np.ones((8, 5)), np.ones((8, 4)), verbose=0, epochs=2)
    assert np.isfinite(history.history["loss"]).all()


def test_an_activity_that_is_symbolic():
    from taut.regularizers import ActivityRegularizer

    inputs = keras.Input((4,))
    model = keras.Model(inputs, ActivityRegularizer(L2(0.5))(inputs))
    assert to_float(model(np.ones((8, 4), np.float32))) == pytest.approx(2.0)


def test_penalties_of_a_keras_model():
    import taut

    model = make_model(taut.regularizers)
    model.layers[1].bias.trainable = False
    named = {v.path: v for v in model.trainable_variables}
    penalties = taut.Penalties([("*bias", None), ("*", L2(0.5))])
    kernels = [ops.convert_to_numpy(layer.kernel) for layer in model.layers]
    assert to_float(penalties(named)) == pytest.approx(sum(map(L2(0.5), kernels)), rel=1e-5)


def test_bound_penalties_follow_variables():
    import taut

    weight = keras.Variable(np.ones((2, 2), np.float32))
    frozen = keras.Variable(np.ones(3, np.float32), trainable=False)
    rules = [("own", lambda x: ops.sum(x)), ("*", L2(1.0))]
    params = {"weight": weight, "own": weight, "frozen": frozen}
    bound = taut.Penalties(rules).bind(params)
    assert to_float(bound()) == 4
    weight.assign(np.full((2, 2), 2.0))
    frozen.trainable = True
    assert to_float(bound()) == 19
    assert {name: to_float(x) for name, x in bound.breakdown().items()} == {
        "weight": 16,
        "own": 0,
        "frozen": 3,
    }
    assert to_float(taut.Penalties(rules).bind({"own": weight, "frozen": frozen})()) == 11


def test_a_symbolic_tensor_in_penalties():
    import taut

    inputs = keras.Input(batch_shape=(4, 3))
    penalties = taut.Penalties([("*", L2(0.5))])
    model = keras.Model(inputs, penalties({"w": inputs, "tied": inputs}))
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    assert to_float(model(x)) == pytest.approx(L2(0.5)(x), rel=1e-6)
    with pytest.raises(TypeError, match="symbolic"):
        penalties.accumulate_grad({"w": inputs}, {"w": inputs})
    with pytest.raises(TypeError, match="symbolic"):
        penalties.prox({"w": inputs}, 0.1)


def test_your_own_gradient_is_added_to_a_native_tensor_and_to_a_variable():
    from taut.regularizers import Regularizer

    class Cubic(Regularizer):
        def __call__(self, x):
            return ops.sum(x**3)

    weight = keras.Variable(np.full((2, 3), 2.0, np.float32))
    for regularizer, slope in ((Cubic(), 12), (L2(1.0), 4)):
        for grad in (ops.zeros((2, 3)), keras.Variable(np.zeros((2, 3), np.float32))):
            if keras.backend.backend() == "torch":
                regularizer.accumulate_grad(weight, grad)
                assert np.all(ops.convert_to_numpy(grad) == slope)
            else:
                with pytest.raises(TypeError, match="cannot be written"):
                    regularizer.accumulate_grad(weight, grad)


def test_a_model_itself():
    import taut

    model = make_model(taut.regularizers)
    penalties = taut.Penalties([("*bias", None), ("*", L2(0.5))])
    bound = penalties.bind(model)
    kernels = [ops.convert_to_numpy(layer.kernel) for layer in model.layers]
    assert to_float(bound()) == pytest.approx(sum(map(L2(0.5), kernels)), rel=1e-5)
    assert to_float(penalties(model)) == to_float(bound())
    model.layers[0].trainable = False
    assert to_float(bound()) == pytest.approx(L2(0.5)(kernels[1]), rel=1e-5)
    model.layers[1].kernel.assign(2 * kernels[1])
    value, grads = penalties.value_and_grad(model)
    assert to_float(value) == pytest.approx(4 * L2(0.5)(kernels[1]), rel=1e-5)
    name = model.layers[1].kernel.path
    np.testing.assert_allclose(ops.convert_to_numpy(grads[name]), 2 * kernels[1], rtol=1e-5)
