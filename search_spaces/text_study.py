"""How stably the next character of real text is learned, by model and by the length of the unroll."""

from harness import Space

SPACE = Space(
    name="text_study",
    summary="RNN and LSTM on the text that ships with Python, by unroll; rates tuned, texts sampled.",
    tasks=("text",),
    models=("rnn", "lstm"),
    optimizers=("adam",),
    lengths=(15, 30, 60),
    max_norms=(5.0,),
    hidden_size=64,
    batch_size=32,
    learning_rate={"low": 1e-3, "high": 1e-1},
    lr_trials=4,
    seeds=4,
    max_steps=800,
    observe=1_000,
    eval_every=100,
    checkpoints=True,
    sample_every=200,
    # Sizes of the generative model of the University of Amsterdam's deep learning course (2019, assignment 2,
    # part 2): two layers of 128 units, sequences of 30, batch 64, RMSprop, max_norm 5. Close to the defaults
    # of char-rnn (Karpathy 2015): two layers of 128, sequences of 50, batch 50, RMSprop, clipped at 5.
    paper=dict(
        optimizers=("rmsprop",),
        lengths=(30, 50),
        hidden_size=128,
        layers=2,
        batch_size=64,
        max_steps=100_000,
        observe=10_000,
        eval_every=1_000,
        sample_every=10_000,
    ),
)
