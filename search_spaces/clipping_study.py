"""What gradient clipping changes about stability, by model, optimizer and sequence length."""

from harness import Space

SPACE = Space(
    name="clipping_study",
    summary="RNN and LSTM on palindromes: clipping thresholds x optimizers x lengths, learning rates tuned.",
    models=("rnn", "lstm"),
    optimizers=("rmsprop", "adam", "sgd"),
    lengths=(5, 10, 15, 20, 30, 40),
    max_norms=(0.5, 1.0, 2.0, 5.0, 10.0, float("inf")),
    hidden_size=32,
    batch_size=32,
    seeds=8,
    max_steps=1_000,
    observe=600,
    eval_every=100,
    paper=dict(
        lengths=(5, 10, 15, 20, 25, 30, 35, 40, 45, 50),
        hidden_size=128,
        batch_size=128,
        max_steps=10_000,
        observe=4_000,
        seeds=10,
    ),
)
