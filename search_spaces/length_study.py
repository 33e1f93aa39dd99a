"""Up to which sequence length each model trains."""

from harness.space import Space

SPACE = Space(
    name="length_study",
    summary="RNN and LSTM on palindromes of growing length, even and odd; learning rates tuned.",
    models=("rnn", "lstm"),
    optimizers=("rmsprop",),
    lengths=(5, 8, 11, 14, 17, 20, 25, 30),
    max_norms=(10.0,),
    hidden_size=32,
    batch_size=32,
    lr_trials=8,
    tuning_seeds=2,
    seeds=10,
    max_steps=1_500,
    observe=500,
    eval_every=100,
    paper=dict(
        lengths=(5, 10, 15, 20, 25, 30, 35, 40, 45, 50),
        hidden_size=128,
        batch_size=128,
        max_steps=10_000,
        observe=4_000,
    ),
)
