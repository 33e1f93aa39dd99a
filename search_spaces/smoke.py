"""Every part of the machinery on the smallest trials that show it."""

from harness import Space

SPACE = Space(
    name="smoke",
    summary="All machinery in under a minute: tuning, report seeds, clipping and a divergence.",
    models=("rnn", "lstm"),
    optimizers=("rmsprop", "sgd"),
    lengths=(4, 5),
    max_norms=(1.0, float("inf")),
    hidden_size=16,
    batch_size=32,
    lr_trials=4,
    seeds=2,
    max_steps=200,
    observe=100,
    eval_every=50,
)
