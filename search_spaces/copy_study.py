"""Over how long a pause RNN and LSTM carry ten symbols."""

from harness import Space

SPACE = Space(
    name="copy_study",
    summary="RNN and LSTM on copy memory with growing pauses; learning rates tuned.",
    tasks=("copy",),
    models=("rnn", "lstm"),
    optimizers=("adam",),
    lengths=(1, 2, 4, 8),
    max_norms=(1.0,),
    hidden_size=64,
    batch_size=32,
    lr_trials=5,
    seeds=6,
    max_steps=2_000,
    observe=500,
    eval_every=125,
    paper=dict(  # Arjovsky, Shah & Bengio 2016 (arXiv 1511.06464), section 4.1, and the code they published
        lengths=(100, 200, 300, 500),
        optimizers=("rmsprop",),
        hidden_size=(40, 80),  # their LSTM and their tanh RNN
        batch_size=20,
        alpha=0.9,
        max_steps=20_000,
        observe=4_000,
        pack_size=16,
    ),
)
