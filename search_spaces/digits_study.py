"""How stably RNN and LSTM learn real images, read row by row (paper scale: pixel by pixel)."""

from harness import Space

SPACE = Space(
    name="digits_study",
    summary="RNN and LSTM on scikit-learn's digits, a row at a time: clipping thresholds; rates tuned.",
    tasks=("digits",),
    models=("rnn", "lstm"),
    optimizers=("rmsprop", "adam"),
    lengths=(8,),
    max_norms=(0.5, 1.0, 10.0, float("inf")),
    hidden_size=32,
    batch_size=32,
    seeds=8,
    max_steps=1_000,
    observe=600,
    eval_every=50,
    paper=dict(  # sizes of Le, Jaitly & Hinton 2015 (arXiv 1504.00941) for MNIST, pixel by pixel
        lengths=(64,),
        order="pixels",
        hidden_size=100,
        batch_size=16,
        max_steps=20_000,
        observe=4_000,
    ),
)
