"""The experiment that this project comes from: RNN and LSTM on palindromes of 5 to 50 digits."""

from harness import Space

SPACE = Space(
    name="course_study",
    summary="RNN and LSTM on palindromes of 5 to 50 digits at one learning rate, as in a course assignment.",
    models=("rnn", "lstm"),
    optimizers=("rmsprop",),
    lengths=(5, 10, 15, 20, 25, 30, 35, 40, 45, 50),
    max_norms=(10.0,),
    hidden_size=32,
    batch_size=32,
    learning_rate=(1e-3,),
    seeds=4,
    max_steps=2_000,
    observe=1_000,
    eval_every=100,
    pack_size=4,
    options=dict(encoding="scalar"),
    # The University of Amsterdam's deep learning course, assignment 2 (2019): digits as numbers, 128 units,
    # batches of 128, 10,000 steps, RMSprop at 1e-3, max_norm 10. Its thresholds: --set max_norms=10,5,2,1,0.5
    paper=dict(
        hidden_size=128,
        batch_size=128,
        seeds=3,
        max_steps=10_000,
        observe=4_000,
        pack_size=1,
    ),
)
