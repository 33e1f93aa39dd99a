"""At which learning rates and lengths training is stable: a map that needs no tuned rate."""

from harness import Space

SPACE = Space(
    name="stability_map",
    summary="RNN and LSTM on palindromes at nine learning rates x lengths: where training is stable.",
    models=("rnn", "lstm"),
    optimizers=("rmsprop", "adam"),
    lengths=(5, 10, 15, 20, 30, 40),
    max_norms=(float("inf"),),
    hidden_size=32,
    batch_size=32,
    learning_rate=(1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0),
    seeds=6,  # the fewest that give an interval of the largest stable rate
    max_steps=1_000,
    observe=400,
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
