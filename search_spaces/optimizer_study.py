"""What the optimizer changes about stability."""

from harness import Space

SPACE = Space(
    name="optimizer_study",
    summary="SGD, momentum, RMSprop and Adam on palindromes, RNN and LSTM; learning rates tuned.",
    models=("rnn", "lstm"),
    optimizers=("sgd", "momentum", "rmsprop", "adam"),
    lengths=(5, 10, 15, 20),
    max_norms=(10.0,),
    hidden_size=32,
    batch_size=32,
    seeds=10,
    max_steps=1_000,
    observe=1_000,
    eval_every=100,
    paper=dict(
        lengths=(5, 10, 15, 20, 25, 30, 35, 40, 45, 50),
        hidden_size=128,
        batch_size=128,
        max_steps=10_000,
        observe=4_000,
    ),
)
