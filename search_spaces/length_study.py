"""Up to which sequence length each model trains."""

from harness import Space

SPACE = Space(
    name="length_study",
    summary="Every recurrent model on palindromes of growing length, even and odd; learning rates tuned.",
    models=("rnn", "irnn", "reservoir", "lstm", "gru", "mgu", "min_gru", "min_lstm", "lru"),
    optimizers=("rmsprop",),
    lengths=(5, 8, 13, 20, 29),
    max_norms=(10.0,),
    hidden_size=32,
    batch_size=32,
    seeds=8,
    max_steps=1_000,
    observe=400,
    eval_every=100,
    # RNN and LSTM as in the University of Amsterdam's deep learning course, assignment 2 (2019): 128 units,
    # batches of 128, 10,000 steps, RMSprop, max_norm 10, lengths from 5 up. The others are given the same.
    paper=dict(
        lengths=(5, 10, 15, 20, 25, 30, 35, 40, 45, 50),
        hidden_size=128,
        batch_size=128,
        seeds=10,
        max_steps=10_000,
        observe=4_000,
    ),
)
