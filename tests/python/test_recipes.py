"""What the recipes say of trainers: how often a penalty counts, and what is clipped."""

import pytest
import taut
from frameworks import require
from pages import run_examples, text_of
from taut.regularizers import L2

FACTOR = 0.1
RULES = [("*bias", None), ("*", L2(FACTOR))]
SLOPE = 2 * FACTOR  # of a weight's penalty, over the weight


def run_page(page):
    """Returns what a page defines."""
    return run_examples([text_of(page)])


def counted(grads, weight, without):
    """Returns how often a penalty's gradient is in a gradient, from one that is without it."""
    return float(((grads - without) / (SLOPE * weight)).median())


class Gradients:
    """The gradient of a weight at an optimizer's first step."""

    def __init__(self, weight):
        self.weight = weight
        self.before = weight.detach().clone()
        self.first = None

    def look(self):
        if self.first is None:
            self.first = self.weight.grad.clone()


@pytest.fixture(scope="module")
def gradient_of_trainer(tmp_path_factory):
    """Returns a function that trains for a step with Hugging Face's Trainer."""
    transformers = require("transformers")
    require("accelerate")
    page = run_page("recipes/hugging-face.md")
    torch = require("torch")

    class InLoss(transformers.Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            loss = super().compute_loss(model, inputs, False, num_items_in_batch)
            return loss + taut.Penalties(RULES)(self.model)

    class Looking(transformers.TrainerCallback):
        def __init__(self, gradients):
            self.gradients = gradients

        def on_pre_optimizer_step(self, args, state, control, **kwargs):
            self.gradients.look()

    def gradient(place, steps, counts_tokens=True, most=0.0):
        torch.manual_seed(0)
        config = page["config"]
        config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.0
        model = transformers.GPT2LMHeadModel(config)
        model.accepts_loss_kwargs = counts_tokens
        gradients = Gradients(model.transformer.h[0].mlp.c_fc.weight)
        own = [page["PenaltyCallback"](taut.Penalties(RULES))] if place == "callback" else []
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path_factory.mktemp("trainer")),
            per_device_train_batch_size=2,
            gradient_accumulation_steps=steps,
            max_steps=1,
            max_grad_norm=most,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        )
        cls = InLoss if place == "loss" else transformers.Trainer
        data = [{"input_ids": each, "labels": each} for each in page["sequences"]]
        callbacks = [*own, Looking(gradients)]
        cls(model=model, args=arguments, train_dataset=data, callbacks=callbacks).train()
        return gradients

    return gradient


@pytest.mark.filterwarnings("default")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "steps", "counts_tokens", "times"),
    [
        ("loss", 1, True, 1),
        ("loss", 4, True, 4),
        ("loss", 4, False, 1),
        ("callback", 4, True, 1),
        ("callback", 4, False, 1),
    ],
)
def test_how_often_a_penalty_counts_in_trainer(
    gradient_of_trainer, place, steps, counts_tokens, times
):
    without = gradient_of_trainer(None, steps, counts_tokens).first
    gradients = gradient_of_trainer(place, steps, counts_tokens)
    assert counted(gradients.first, gradients.before, without) == pytest.approx(times, rel=1e-3)


@pytest.mark.filterwarnings("default")
@pytest.mark.slow
def test_trainer_does_not_clip_what_the_callback_adds(gradient_of_trainer):
    without = gradient_of_trainer(None, 4, most=1e-3).first
    gradients = gradient_of_trainer("callback", 4, most=1e-3)
    assert counted(gradients.first, gradients.before, without) == pytest.approx(1, rel=1e-3)


@pytest.mark.filterwarnings("default")
@pytest.mark.slow
@pytest.mark.parametrize("place", ["hook", "loss"])
def test_a_penalty_counts_once_in_lightning(place):
    lightning, torch = require("lightning"), require("torch")
    page = run_page("recipes/lightning.md")

    class InLoss(page["Regression"]):
        def training_step(self, batch, index):
            return super().training_step(batch, index) + taut.Penalties(RULES)(self)

    class Looking(lightning.Callback):
        def on_before_optimizer_step(self, trainer, module, optimizer):
            self.gradients.look()

    def gradient(cls, callbacks):
        torch.manual_seed(0)
        module, looking = cls(), Looking()
        looking.gradients = Gradients(module.layers[0].weight)
        trainer = lightning.Trainer(
            max_steps=1,
            accelerator="cpu",
            accumulate_grad_batches=4,
            callbacks=[*callbacks, looking],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, torch.utils.data.DataLoader(page["data"], batch_size=8))
        return looking.gradients

    without = gradient(page["Regression"], []).first
    hook = [page["PenaltyCallback"](taut.Penalties(RULES))]
    gradients = gradient(InLoss, []) if place == "loss" else gradient(page["Regression"], hook)
    assert counted(gradients.first, gradients.before, without) == pytest.approx(1, rel=1e-3)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("place", ["synchronized", "loss"])
def test_a_penalty_counts_once_in_accelerate(place):
    torch, accelerate = require("torch"), require("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=4)
    layer = torch.nn.Linear(8, 1)
    gradients = Gradients(layer.weight)
    bound = taut.Penalties(RULES).bind(layer)
    model = accelerator.prepare(layer)
    for _ in range(4):
        with accelerator.accumulate(model):
            # A loss of the weights that has no gradient but the penalty's.
            loss = model(torch.zeros(2, 8)).sum() * 0.0
            accelerator.backward(loss + bound() if place == "loss" else loss)
            if place == "synchronized" and accelerator.sync_gradients:
                bound.accumulate_grad()
    gradients.look()
    assert counted(gradients.first, gradients.before, 0.0) == pytest.approx(1, rel=1e-5)


def test_optax_adds_a_penalty_after_clipping_and_once_per_accumulated_step():
    jax, optax = require("jax"), require("optax")
    page = run_page("recipes/optax.md")
    params = page["params"]
    penalties = taut.Penalties([("*/kernel", L2(FACTOR)), ("*/bias", None)])
    chain = optax.chain(optax.clip_by_global_norm(1e-3), page["add_penalties"](penalties))
    optimizer = optax.MultiSteps(chain, every_k_schedule=4)
    state = optimizer.init(params)
    zeros = jax.tree.map(jax.numpy.zeros_like, params)
    for _ in range(4):
        updates, state = optimizer.update(zeros, state, params)
    expected = SLOPE * params["dense"]["kernel"]
    assert jax.numpy.allclose(updates["dense"]["kernel"], expected, rtol=1e-5)


def test_a_scaler_leaves_the_penalty_s_gradient_as_it_is():
    torch = require("torch")
    layer = torch.nn.Linear(8, 4)
    bound = taut.Penalties(RULES).bind(layer)
    found = []
    for way in ("after", "before", "graph"):
        layer.zero_grad()
        optimizer = torch.optim.SGD(layer.parameters())
        scaler = torch.amp.GradScaler("cpu")
        loss = layer(torch.zeros(2, 8)).sum() * 0.0
        scaler.scale(loss + bound() if way == "graph" else loss).backward()
        if way == "before":
            bound.accumulate_grad(scale=scaler.get_scale())
        scaler.unscale_(optimizer)
        if way == "after":
            bound.accumulate_grad()
        found.append(counted(layer.weight.grad, layer.weight.detach(), 0.0))
    assert found == pytest.approx([1, 1, 1], rel=1e-5)


def test_a_weight_that_is_computed_has_no_parameter_of_its_name():
    torch = require("torch")
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(8, 4))
    with pytest.raises(ValueError, match="original0"):
        taut.Penalties([("weight", L2())])(layer)
    pruned = torch.nn.utils.prune.random_unstructured(torch.nn.Linear(8, 4), "weight", 0.5)
    with pytest.raises(ValueError, match="weight_orig"):
        taut.Penalties([("weight", L2())])(pruned)
