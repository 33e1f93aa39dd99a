"""How deep graph networks train: over-smoothing, and what residual connections and normalisation change."""

from harness import Space

SPACE = Space(
    name="depth_study",
    summary="GCN and GAT of 1 to 32 layers on block-model graphs, with and without residuals and PairNorm.",
    tasks=("sbm",),  # --set tasks=karate --set batch_size=1 for the karate club
    models=("gcn", "gat"),
    optimizers=("adam",),
    lengths=(1, 2, 4, 8, 16, 32),
    hidden_size=16,
    batch_size=4,
    learning_rate=dict(low=1e-3, high=1e-1),
    lr_trials=4,
    seeds=8,
    max_steps=200,
    observe=40,
    eval_every=20,
    probes=("smoothing",),
    options=dict(residual=(False, True), norm=("none", "pair")),
    paper=dict(  # 16 units, 200 steps of Adam: Kipf & Welling 2017; up to 64 layers: Chen et al. 2020 (GCNII)
        lengths=(2, 4, 8, 16, 32, 64),
        batch_size=16,
        seeds=20,
        observe=200,
        norm=("none", "layer", "pair"),
    ),
)
