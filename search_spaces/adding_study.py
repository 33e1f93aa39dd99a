"""Up to which length RNN and LSTM learn to add two marked numbers, with and without clipping."""

from harness import Space

SPACE = Space(
    name="adding_study",
    summary="RNN and LSTM on the adding problem of growing length, with and without clipping; rates tuned.",
    tasks=("adding",),
    models=("rnn", "lstm"),
    optimizers=("adam",),
    lengths=(10, 20, 30, 40),
    max_norms=(1.0, float("inf")),
    hidden_size=32,
    batch_size=32,
    seeds=8,
    max_steps=1_500,
    observe=400,
    eval_every=100,
    paper=dict(  # Arjovsky, Shah & Bengio 2016 (arXiv 1511.06464), section 4.2, and the code they published
        lengths=(100, 200, 400, 750),
        optimizers=("rmsprop",),
        hidden_size=128,
        batch_size=50,
        alpha=0.9,
        max_steps=20_000,
        observe=4_000,
        pack_size=16,
    ),
)
