"""What drives the drops after convergence: the optimizer's second-moment horizon, momentum, or clipping."""

from harness import Space

SPACE = Space(
    name="drops_study",
    summary="RNN on palindromes of 10 scalar digits: drops by second-moment horizon, momentum and clipping.",
    models=("rnn",),
    optimizers=("rmsprop", "adam"),
    lengths=(10,),
    max_norms=(0.5, 10.0, float("inf")),
    hidden_size=64,
    batch_size=64,
    learning_rate=(1e-3,),
    seeds=10,
    max_steps=3_000,
    observe=4_000,
    eval_every=50,
    pack_size=10,
    options=dict(
        encoding="scalar",
        alpha=(0.9, 0.99, 0.999),
        beta1=(0.0, 0.9),  # 0 leaves RMSprop with bias correction
        beta2=(0.9, 0.99, 0.999),
    ),
    paper=dict(hidden_size=128, batch_size=128),
)
