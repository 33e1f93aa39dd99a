"""Networks for sequences, for graphs and for both, on a signal that spreads on a graph; with ablations."""

from harness import Space

SPACE = Space(
    name="graph_study",
    summary="RNN, LSTM, GCN, GCN-RNN, GCN-LSTM, and the last two without graph or memory, on graph_signal.",
    tasks=("graph_signal",),
    models=("rnn", "lstm", "gcn", "gcn_rnn", "gcn_lstm"),
    optimizers=("adam",),
    lengths=(3, 6, 12),
    max_norms=(1.0,),
    hidden_size=8,
    batch_size=16,
    learning_rate=dict(low=3e-3, high=3e-2),
    lr_trials=3,
    seeds=8,
    max_steps=400,
    observe=100,
    eval_every=100,
    probes=("gradient_flow", "spectrum"),
    options=dict(use_graph=(True, False), use_memory=(True, False)),
    paper=dict(  # no published sizes, the task is this project's own: 8 times the units, 10 times the steps
        lengths=(3, 6, 12, 24, 48),
        hidden_size=64,
        batch_size=64,
        pack_size=8,  # at 48 steps a trial takes 2.5 GB
        seeds=20,
        max_steps=4_000,
        observe=1_000,
    ),
)
